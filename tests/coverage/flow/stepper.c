/* What runs, told by the processor: every process and thread of a call is stepped through, one instruction at a time. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* Calls in a child and sets a byte of `seen` for every address in [begin, begin + bytes) that is executed. `result` gets
 * what was returned; both are shared memory. The child's wait status, or -1 where it cannot be traced. */
int step(long (*call)(long), long argument, uintptr_t begin, long bytes, uint8_t *seen, long *result) {
    pid_t first = fork();
    if (first == 0) {
        if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
            _exit(99);
        raise(SIGSTOP);
        *result = call(argument);
        _exit(0);
    }
    int status, last = -1, signal;
    waitpid(first, &status, 0);
    if (!WIFSTOPPED(status))
        return -1;
    ptrace(PTRACE_SETOPTIONS, first, NULL,
           PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL | PTRACE_O_TRACEEXEC);
    ptrace(PTRACE_SINGLESTEP, first, NULL, NULL);
    for (;;) {
        pid_t who = waitpid(-1, &status, __WALL);
        if (who < 0)
            return last;
        if (!WIFSTOPPED(status)) {
            if (who == first)
                last = status;
            continue;
        }
        if (status >> 16 == PTRACE_EVENT_EXEC) { /* another program: none of ours */
            ptrace(PTRACE_DETACH, who, NULL, NULL);
            continue;
        }
        signal = WSTOPSIG(status);
        siginfo_t info;
        if (signal == SIGTRAP) {
            /* TRAP_TRACE and TRAP_BRKPT of a step; an int3 of the program's own has SI_KERNEL, kill(2) SI_USER. */
            if (status >> 16 != 0 || (ptrace(PTRACE_GETSIGINFO, who, NULL, &info) == 0 && info.si_code > 0 && info.si_code != SI_KERNEL))
                signal = 0;
        } else if (signal == SIGSTOP) {
            signal = 0; /* how a new thread or process begins */
        }
        struct user_regs_struct registers;
        if (ptrace(PTRACE_GETREGS, who, NULL, &registers) == 0 && registers.rip - begin < (uintptr_t)bytes)
            seen[registers.rip - begin] = 1;
        ptrace(PTRACE_SINGLESTEP, who, NULL, (void *)(long)signal);
    }
}
