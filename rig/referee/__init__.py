# SPDX-License-Identifier: GPL-2.0-only
"""The referee: everything that judges, and none of it runs in the guest."""
