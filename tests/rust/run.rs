// SPDX-License-Identifier: GPL-2.0-only
//! Calls through the bindings: a failure must come back with its reason.

#[allow(warnings)]
mod continuo {
    include!(env!("BINDINGS"));
    include!(env!("ALL"));
}

use std::ffi::{CStr, CString};
use std::os::raw::c_int;
use std::ptr;

extern "C" {
    fn pipe(fds: *mut c_int) -> c_int;
}

const EINVAL: c_int = 22;

fn main() {
    for (name, at) in continuo::ALL {
        assert!(!at.is_null(), "{} is nowhere", name);
    }

    let ram = CString::new("ram").unwrap();
    let mut fds = [-1; 2];
    unsafe {
        assert_eq!(pipe(fds.as_mut_ptr()), 0);

        let mut ctx = ptr::null_mut();
        assert_eq!(continuo::continuo_new(&mut ctx), 0);
        assert_eq!(why(ctx), "");

        let mut vm = ptr::null_mut();
        assert_eq!(continuo::continuo_vm_new(ctx, &mut vm), 0);
        assert_eq!(continuo::continuo_vm_memory(vm, ram.as_ptr(), fds[0]), -EINVAL);
        let said = why(ctx);
        assert!(said.contains("\"ram\"") && said.contains("neither a memfd"), "{}", said);

        // Constants and structs are there under their own names, too.
        assert_eq!(continuo::CONTINUO_READ | continuo::CONTINUO_WRITE, 3);
        assert_eq!(std::mem::size_of::<continuo::continuo_difference>(), 40);

        continuo::continuo_vm_free(vm);
        continuo::continuo_free(ctx);
        println!("from Rust: \"{}\"", said);
    }
}

unsafe fn why(ctx: *const continuo::continuo) -> String {
    CStr::from_ptr(continuo::continuo_why(ctx)).to_str().unwrap().to_owned()
}
