internal import CKernels

/// Lets the C library keep what is freed for what comes next, as large messages come and go.
///
/// By itself it gives each back to the system, which hands out its pages one fault at a time: a
/// third of the time of a sum of 20 MiB.
public func keepFreedMemory() { ck_keep_freed_memory() }
