//! The machine code that stands in for the vDSO's clock functions.
//!
//! It is position-independent and calls nothing but the kernel. The C calling convention of x86-64
//! leaves it rax, rcx, rdx, rsi, rdi and r8 to r11; a system call overwrites rax, rcx and r11.
//! Words of the page are named by their offsets, as in [`page`](super::page).
#![expect(
    unsafe_code,
    reason = "the assembly is copied into other processes and never run in this one"
)]

use std::arch::global_asm;

global_asm!(
    ".pushsection .rodata.tribunal_stub, \"a\", @progbits",
    ".globl tribunal_stub_begin, tribunal_stub_clock_gettime, tribunal_stub_gettimeofday",
    ".globl tribunal_stub_time, tribunal_stub_end",
    ".hidden tribunal_stub_begin, tribunal_stub_clock_gettime, tribunal_stub_gettimeofday",
    ".hidden tribunal_stub_time, tribunal_stub_end",
    ".balign 16",
    "tribunal_stub_begin:",
    // Where the page is; filled in for each process.
    ".quad 0",
    // int clock_gettime(edi: clock, rsi: struct timespec *)
    "tribunal_stub_clock_gettime:",
    "    mov eax, 228",
    "    syscall",
    "    test eax, eax",
    "    jnz 9f",
    // Clocks of single processes and devices have negative numbers: never moved.
    "    cmp edi, 31",
    "    ja 9f",
    "    mov r8, qword ptr [rip + tribunal_stub_begin]",
    // The page is read until its sequence number is even, and the same before and after.
    "2:  mov r9, qword ptr [r8]",
    "    test r9b, 1",
    "    jnz 7f",
    "    mov eax, dword ptr [r8 + 8]",
    "    bt eax, edi",
    "    jnc 8f",
    "    mov rax, qword ptr [r8 + 16]",
    "    mov r10, qword ptr [r8 + 24]",
    "    mov rdx, qword ptr [r8 + 32]",
    "    mov rcx, qword ptr [r8 + 40]",
    "    cmp r9, qword ptr [r8]",
    "    jne 2b",
    // From here on r9 is what the clock is moved by, in nanoseconds.
    "    mov r9, rax",
    "    mov rax, r10",
    "    or rax, rcx",
    "    jz 5f",
    // rdi: nanoseconds of CLOCK_MONOTONIC since the skew began.
    "    push rsi",
    "    push r10",
    "    push rcx",
    "    sub rsp, 16",
    "    mov edi, 1",
    "    mov rsi, rsp",
    "    mov eax, 228",
    "    syscall",
    "    imul rdi, qword ptr [rsp], 1000000000",
    "    add rdi, qword ptr [rsp + 8]",
    "    sub rdi, rdx",
    "    add rsp, 16",
    "    pop rcx",
    "    pop r10",
    "    pop rsi",
    // In every second half period there is no offset.
    "    test rcx, rcx",
    "    jz 4f",
    "    mov rax, rdi",
    "    xor edx, edx",
    "    div rcx",
    "    test al, 1",
    "    jz 4f",
    "    xor r9d, r9d",
    "4:  mov rax, rdi",
    "    imul r10",
    "    mov ecx, 1000000000",
    "    idiv rcx",
    "    add r9, rax",
    "5:  test r9, r9",
    "    jz 8f",
    "    imul rax, qword ptr [rsi], 1000000000",
    "    add rax, qword ptr [rsi + 8]",
    "    add rax, r9",
    "    cqo",
    "    mov ecx, 1000000000",
    "    idiv rcx",
    "    test rdx, rdx",
    "    jns 6f",
    "    add rdx, rcx",
    "    dec rax",
    "6:  mov qword ptr [rsi], rax",
    "    mov qword ptr [rsi + 8], rdx",
    // What was done is told.
    "    mov qword ptr [r8 + 56], r9",
    "    lock inc qword ptr [r8 + 48]",
    "8:  xor eax, eax",
    "9:  ret",
    "7:  pause",
    "    jmp 2b",
    // int gettimeofday(rdi: struct timeval *, rsi: struct timezone *)
    "tribunal_stub_gettimeofday:",
    "    push rdi",
    "    test rsi, rsi",
    "    jz 2f",
    "    xor edi, edi",
    "    mov eax, 96",
    "    syscall",
    "2:  mov rsi, qword ptr [rsp]",
    "    xor eax, eax",
    "    test rsi, rsi",
    "    jz 3f",
    "    xor edi, edi",
    "    call tribunal_stub_clock_gettime",
    "    test eax, eax",
    "    jnz 3f",
    // Nanoseconds become microseconds.
    "    mov rdi, qword ptr [rsp]",
    "    mov rax, qword ptr [rdi + 8]",
    "    xor edx, edx",
    "    mov ecx, 1000",
    "    div rcx",
    "    mov qword ptr [rdi + 8], rax",
    "    xor eax, eax",
    "3:  pop rdi",
    "    ret",
    // time_t time(rdi: time_t *)
    "tribunal_stub_time:",
    "    push rdi",
    "    sub rsp, 16",
    "    xor edi, edi",
    "    mov rsi, rsp",
    "    call tribunal_stub_clock_gettime",
    "    mov rax, qword ptr [rsp]",
    "    add rsp, 16",
    "    pop rdi",
    "    test rdi, rdi",
    "    jz 2f",
    "    mov qword ptr [rdi], rax",
    "2:  ret",
    "tribunal_stub_end:",
    ".popsection",
);

// SAFETY: each is a label in the read-only section above, never written to.
unsafe extern "C" {
    safe static tribunal_stub_begin: u8;
    safe static tribunal_stub_clock_gettime: u8;
    safe static tribunal_stub_gettimeofday: u8;
    safe static tribunal_stub_time: u8;
    safe static tribunal_stub_end: u8;
}

/// What each function is called in a vDSO, and where its stand-in begins in the stub.
pub(super) fn entries() -> [(&'static str, usize); 3] {
    [
        ("__vdso_clock_gettime", offset(&tribunal_stub_clock_gettime)),
        ("__vdso_gettimeofday", offset(&tribunal_stub_gettimeofday)),
        ("__vdso_time", offset(&tribunal_stub_time)),
    ]
}

fn offset(label: &u8) -> usize {
    (&raw const *label).addr() - (&raw const tribunal_stub_begin).addr()
}

/// Where a `syscall` instruction is in the stub.
pub(super) fn system_call() -> Option<usize> {
    code().windows(2).position(|two| two == [0x0f, 0x05])
}

/// The stub.
pub(super) fn code() -> &'static [u8] {
    // SAFETY: both labels are in the same section, the end after the begin, and all between them
    // is initialized and never changes.
    unsafe {
        std::slice::from_raw_parts(&raw const tribunal_stub_begin, offset(&tribunal_stub_end))
    }
}
