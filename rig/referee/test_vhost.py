# SPDX-License-Identifier: GPL-2.0-only
"""The device with a translation cache, with a QEMU and an IOMMU that are made up."""

import io
import struct
import unittest

from rig.referee import vhost

IOVA, HOST = 0x1000000000, 0x7f0000000000
DESC, AVAIL, USED, BUFFERS, SLOTS, PITCH = 0, 0x1000, 0x2000, 0x3000, 4, 640


class Device(vhost.Device):
    """It is answered at once, by what the tables say."""

    def __init__(self):
        super().__init__(None, 1, io.StringIO())
        self.memory = bytearray(0x10000)
        self.regions = [(HOST, len(self.memory), self.memory, 0)]
        self.tables = {IOVA + at: HOST + at for at in range(0, 0x8000, vhost.PAGE)}
        self.vring.update(num=SLOTS, addr=(IOVA + DESC, IOVA + USED, IOVA + AVAIL), kick=True, on=True)
        for i in range(SLOTS):
            struct.pack_into("<QIHH", self.memory, DESC + 16 * i, IOVA + BUFFERS + i * PITCH, PITCH, 2, 0)
            struct.pack_into("<H", self.memory, AVAIL + 4 + 2 * i, i)
        self.interrupt = None

    def post(self, n):
        struct.pack_into("<H", self.memory, AVAIL + 2, n)

    def miss(self, page, perm):
        self.figures["misses"] += 1
        if page not in self.tables:
            raise vhost.Refused
        self.told(page, vhost.PAGE, self.tables[page], vhost.READ | vhost.WRITE, vhost.UPDATE)
        if self.interrupt:
            self.interrupt()
        raise vhost.Again

    def received(self, i, base=BUFFERS):
        at = base + i * PITCH + len(vhost.NET_HEADER)
        return struct.unpack_from("<Q", self.memory, at)[0]


class TheDevice(unittest.TestCase):
    def setUp(self):
        self.device = Device()

    def put(self, seq):
        return self.device.put(vhost.frame(seq)[0])

    def move(self):
        """The buffers are elsewhere, by the tables."""
        for at in (0x3000, 0x4000):
            self.device.tables[IOVA + at] = HOST + at + 0x5000

    def test_no_buffer(self):
        self.assertFalse(self.put(7))

    def test_frames(self):
        self.device.post(3)
        for i in range(3):
            self.assertTrue(self.put(7 + i))
            self.assertEqual(self.device.received(i), 7 + i)
        self.assertFalse(self.put(10))
        self.assertEqual(struct.unpack_from("<HH", self.device.memory, USED), (0, 3))

    def test_what_is_cached_is_used(self):
        self.device.post(2)
        self.device.look_ahead()
        self.move()
        self.put(7)
        self.assertEqual(self.device.received(0), 7)

    def test_what_is_forgotten_is_not(self):
        self.device.post(2)
        self.device.look_ahead()
        self.move()
        self.device.told(IOVA + 0x3000, 0x2000, 0, 0, vhost.INVALIDATE)
        self.put(7)
        self.assertEqual(self.device.received(0), 0)
        self.assertEqual(self.device.received(0, BUFFERS + 0x5000), 7)

    def test_forgotten_while_it_looks(self):
        """What was looked up before is not used after it."""
        def interrupt():
            self.device.interrupt = None
            self.move()
            self.device.told(0, 0, 0, 0, vhost.INVALIDATE)
        self.device.post(2)
        self.device.look_ahead()
        self.device.forget(IOVA + USED, vhost.PAGE)
        self.device.interrupt = interrupt
        self.put(7)
        self.assertEqual(self.device.received(0), 0)
        self.assertEqual(self.device.received(0, BUFFERS + 0x5000), 7)

    def test_refused(self):
        self.device.post(1)
        del self.device.tables[IOVA + 0x3000]
        self.assertRaises(vhost.Refused, self.put, 7)


if __name__ == "__main__":
    unittest.main()
