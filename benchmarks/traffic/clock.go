package main

import _ "unsafe" // for the name of the clock below

// nanotime is the machine's monotonic clock in nanoseconds: the same for every process, and the
// one that Python calls time.monotonic_ns. It costs no system call.
//
//go:linkname nanotime runtime.nanotime
func nanotime() int64
