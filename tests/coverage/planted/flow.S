/* Functions whose basic blocks are known: each is marked by a label, `plain_*` or `indirect_*`, which `test_blocks.py`
   reads from the symbol table. What must never be listed is marked `data_*`. */
        .text
        .macro  function name
        .p2align 4, 0xcc
        .globl  \name
        .type   \name, @function
\name:
        .endm

        function loops                  /* a loop in a loop, and a conditional jump out of both */
        .cfi_startproc
plain_loops:
        xor     %eax, %eax
plain_loops_outer:
        mov     $3, %ecx
plain_loops_inner:
        inc     %eax
        dec     %ecx
        jnz     plain_loops_inner
plain_loops_after_inner:
        cmp     $9, %eax
        jae     plain_loops_end
plain_loops_between:
        jmp     plain_loops_outer
plain_loops_end:
        ret
        .cfi_endproc
        .size   loops, . - loops

        function counted                /* jumps whose names do not begin with a j, and one of 32 bits */
        .cfi_startproc
plain_counted:
        mov     $5, %ecx
plain_counted_loop:
        inc     %eax
        loop    plain_counted_loop
plain_counted_after:
        jrcxz   plain_counted_end
plain_counted_fell:
        inc     %eax
        {disp32} jmp plain_counted_end
        .p2align 4                      /* nops that nobody reaches, then what only a computed jump could */
indirect_counted_island:
        dec     %eax
plain_counted_end:
        ret
        .cfi_endproc
        .size   counted, . - counted

        function switches               /* a jump table; `indirect_case_2` is also fallen into, without any jump */
        .cfi_startproc
plain_switches:
        cmp     $3, %edi
        ja      plain_switches_default
plain_switches_look_up:
        lea     table(%rip), %rdx
        movslq  (%rdx,%rdi,4), %rax
        add     %rdx, %rax
        jmp     *%rax
indirect_case_0:
        mov     $10, %eax
        ret
indirect_case_1:
        mov     $20, %eax
indirect_case_2:
        add     $1, %eax
        ret
plain_switches_default:
        mov     $-1, %eax
        ret
        .cfi_endproc
        .size   switches, . - switches

        function lands                  /* a landing pad behind a call that does not return, and no jump before it */
        .cfi_startproc
        .cfi_personality 0x9b, personality
        .cfi_lsda 0x1b, sites
plain_lands:
        push    %rax
call_begin:
        call    loops
call_end:
        call    loops
indirect_lands_pad:
        mov     $7, %eax
        pop     %rdx
        ret
        .cfi_endproc
        .size   lands, . - lands

        function recursive              /* calls itself: a call ends no block, and its own entry is listed once */
        .cfi_startproc
plain_recursive:
        test    %edi, %edi
        je      plain_recursive_end
plain_recursive_deeper:
        dec     %edi
        call    recursive
        inc     %eax
        ret
plain_recursive_end:
        xor     %eax, %eax
        ret
        .cfi_endproc
        .size   recursive, . - recursive

        function tail_call              /* leaves by a jump into another function */
        .cfi_startproc
plain_tail_call:
        inc     %edi
        je      loops
plain_tail_call_last:
        jmp     recursive
        .cfi_endproc
        .size   tail_call, . - tail_call

        .globl  alias_of_tail_call
        .type   alias_of_tail_call, @function
        .set    alias_of_tail_call, tail_call
        .size   alias_of_tail_call, 11

        function sizeless               /* a compiler's record says what the symbol does not */
        .cfi_startproc
plain_sizeless:
        test    %edi, %edi
        je      plain_sizeless_end
plain_sizeless_odd:
        inc     %edi
plain_sizeless_end:
        ret
        .cfi_endproc

        function by_hand                /* no unwind record: the entry stands alone, whatever comes after */
plain_by_hand:
        test    %edi, %edi
        je      1f
        inc     %edi
1:      ret
data_by_hand:
        .quad   0x9090909090909090, 0x0102030405060708
        .size   by_hand, . - by_hand

        function with_data              /* a constant behind the code, which no instruction begins with */
        .cfi_startproc
plain_with_data:
        test    %edi, %edi
        je      1f
        inc     %edi
1:      ret
data_with_data:
        .byte   0x06, 0x90, 0x90, 0x90
        .cfi_endproc
        .size   with_data, . - with_data

        function into_instruction       /* a jump over a prefix into the middle of an instruction */
        .cfi_startproc
plain_into_instruction:
        test    %edi, %edi
        je      data_without_lock
        lock
data_without_lock:
        incl    (%rsi)
        ret
        .cfi_endproc
        .size   into_instruction, . - into_instruction

        function cut_off                /* the last instruction reaches beyond the function's end */
        .cfi_startproc
plain_cut_off:
        test    %edi, %edi
        je      1f
        inc     %edi
1:      .byte   0xe9
        .cfi_endproc
        .size   cut_off, . - cut_off
        .long   0

        function trapped                /* begins with a breakpoint of its own, which could not be told from ours */
        .cfi_startproc
data_trapped:
        int3
        test    %edi, %edi
        je      plain_trapped_end
plain_trapped_odd:
        ud2
        int3
plain_trapped_end:
        ret
        .cfi_endproc
        .size   trapped, . - trapped

        function other_size             /* symbol and record disagree: one of them is wrong about where code ends */
        .cfi_startproc
plain_other_size:
        test    %edi, %edi
        je      1f
        inc     %edi
        .cfi_endproc
1:      ret
        .size   other_size, . - other_size

        function outer                  /* `inner` lies inside of it, for the linker a function of its own */
        .cfi_startproc
plain_outer:
        xor     %eax, %eax
        .type   inner, @function
inner:
        inc     %eax
        ret
        .cfi_endproc
        .size   outer, . - outer
        .size   inner, . - inner

        .type   no_size_at_all, @function
no_size_at_all:
        nop

        function _GLOBAL__sub_I_flow.cc /* ran when the library was loaded */
        .cfi_startproc
data_initialiser:
        ret
        .cfi_endproc
        .size   _GLOBAL__sub_I_flow.cc, . - _GLOBAL__sub_I_flow.cc

        .type   in_data, @function      /* no code at all */
        .data
in_data:
data_in_data:
        .quad   0xc3c3c3c3c3c3c3c3
        .size   in_data, 8

        .section .rodata
        .p2align 2
table:
        .long   indirect_case_0 - table
        .long   indirect_case_1 - table
        .long   indirect_case_2 - table
        .long   indirect_case_0 - table
        .long   plain_loops - table          /* the next table, of another function */

        .section .gcc_except_table, "a", @progbits
sites:  .byte   0xff, 0xff, 0x01        /* landing pads from the function's start; no types; LEB128 */
        .uleb128 sites_end - sites_begin
sites_begin:
        .uleb128 call_begin - lands, call_end - call_begin, indirect_lands_pad - lands, 0
        .uleb128 call_end - lands, indirect_lands_pad - call_end, 0, 0
sites_end:

        .section .data.rel.local, "aw"
        .p2align 3
personality:
        .quad   loops

        .section .note.GNU-stack, "", @progbits
