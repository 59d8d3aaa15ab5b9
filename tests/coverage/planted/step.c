/* Single-steps a stopped child to its end and notes where it jumps: see `stepping.py`. */
#include <signal.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>

/* Pairs (from, to) of steps that are none to the next instruction and touch [low, high), at most `room` of them.
   Returns how many there were, or -1 when the child cannot be stepped. */
long step(long child, long low, long high, long (*pairs)[2], long room)
{
    long last = 0, count = 0, pending = 0;
    for (;;) {
        long at = ptrace(PTRACE_PEEKUSER, child, offsetof(struct user_regs_struct, rip), 0);
        int touches = (at >= low && at < high) || (last >= low && last < high);
        if (touches && !(at > last && at - last <= 15) && count < room) {
            pairs[count][0] = last;
            pairs[count][1] = at;
            count++;
        }
        last = at;
        int status;
        if (ptrace(PTRACE_SINGLESTEP, child, 0, pending) < 0 || waitpid(child, &status, 0) != child)
            return -1;
        if (WIFEXITED(status) || WIFSIGNALED(status))
            return count;
        pending = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
    }
}
