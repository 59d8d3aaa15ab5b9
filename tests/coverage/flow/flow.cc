// Functions with every kind of control flow, for tests of the tripwire. Each takes a number that chooses the way through
// it and returns one that depends on all that ran.
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#define FLOW extern "C" __attribute__((noinline, visibility("default")))
#define PART static __attribute__((noinline))

static volatile long sink;
extern char **environ;

// --- within one function ------------------------------------------------------------------------------------

FLOW long flow_loop(long n) {
    long sum = 0;
    for (long i = 0; i < n; i++) {
        for (long j = 0; j < i; j++) {
            if (j % 3 == 0) continue;
            if (j == 40) goto done;
            sum += j ^ sink;
        }
        if (i % 2) sum -= i; else sum *= 3;
    }
done:
    while (sum > 1000) sum /= 7;
    return sum;
}

FLOW long flow_switch(long n) {
    switch (n) {
        case 0: sink = 3; return 10;
        case 1: sink += 1; return sink + 2;
        case 2: sink ^= 9; break;
        case 3: sink -= 7; [[fallthrough]];
        case 4: sink *= 2; return 17 + sink;
        case 5: for (int i = 0; i < 5; i++) sink += i; return 5;
        case 6: if (sink) return 6; break;
        case 7: sink = flow_loop(4); break;
        case 8: return sink - 8;
        case 9: sink = 99; return 1;
        default: sink = -1; return 1000;
    }
    return sink;
}

FLOW long flow_goto(long n) {
    static const void *const labels[] = {&&zero, &&one, &&two, &&three};
    long sum = 1;
    goto *labels[n & 3];
zero: sum += 5; sink = sum; goto *labels[1];
one: sum *= 11; sink = sum; if (sum > 100) return sum; goto *labels[3];
two: sum -= 4; sink = sum; return sum;
three: sum ^= 3; sink = sum; return sum + 1;
}

FLOW double flow_double(double x, long n) {
    double a = x, b = x * 0.5, c = 1 / x;
    for (long i = 0; i < n; i++) {
        if (i & 1) a = a * b + c;
        if (i & 2) b -= c / 3;
        if (a > 5) a -= b;
        c = c * 0.75 + a / 16;
    }
    return a + b * c;
}

FLOW long flow_float(long n) {
    double result = flow_double(1.25 + (double)n, 40 + n);
    long bits;
    memcpy(&bits, &result, sizeof bits);
    return bits;
}

// The flags of one comparison are read by two blocks, and a leaf keeps a value below the stack pointer (x86-64 psABI 3.2.2).
extern "C" long flow_flags(long n);
extern "C" long flow_red_zone(long n);
// 4000 blocks; each says in a byte of its own that it ran.
extern "C" void ladder(char *progress);
__asm__(R"(
    .text
    .globl flow_flags, flow_red_zone, ladder
    .type flow_flags, @function
    .type flow_red_zone, @function
    .type ladder, @function
flow_flags:
    .cfi_startproc
    cmpq $5, %rdi
    je 1f
    jl 2f
    movl $3, %eax
    jbe 1f
    ret
1:  movl $1, %eax
    ret
2:  movl $2, %eax
    ret
    .cfi_endproc
    .size flow_flags, . - flow_flags
flow_red_zone:
    .cfi_startproc
    movq %rdi, -8(%rsp)
    movq %rdi, -128(%rsp)
    testq %rdi, %rdi
    js 1f
    addq $7, -8(%rsp)
1:  movq -8(%rsp), %rax
    jmp 2f
2:  addq -128(%rsp), %rax
    ret
    .cfi_endproc
    .size flow_red_zone, . - flow_red_zone
ladder:
    .cfi_startproc
    .set step, 0
    .rept 4000
    movb $1, step(%rdi)
    jmp 1f
1:
    .set step, step + 1
    .endr
    ret
    .cfi_endproc
    .size ladder, . - ladder
)");

// --- between functions --------------------------------------------------------------------------------------

FLOW long flow_recursion(long n) { return n < 2 ? n + sink : flow_recursion(n - 1) + flow_recursion(n - 2); }

PART long tail_odd(long n, long sum);
PART long tail_even(long n, long sum) { return n == 0 ? sum : tail_odd(n - 1, sum + 2); }
PART long tail_odd(long n, long sum) { return n == 0 ? -sum : tail_even(n - 1, sum ^ 5); }
FLOW long flow_tail(long n) { return tail_even(n, sink); }

struct Shape {
    virtual ~Shape() { sink++; }
    virtual long area(long n) = 0;
};
struct Square : Shape {
    long area(long n) override { return n * n; }
};
struct Round : Shape {
    long area(long n) override { return n > 3 ? 3 * n * n : 1; }
    ~Round() override { sink += 2; }
};
FLOW long flow_virtual(long n) {
    Shape *shape = n & 1 ? static_cast<Shape *>(new Round) : new Square;
    long area = shape->area(n);
    delete shape;
    return area;
}

struct Guard {
    long weight;
    ~Guard() { if (weight > 2) sink += weight; else sink -= weight; }
};
PART long thrower(long n, long depth) {
    Guard guard{depth};
    if (depth > 0) return thrower(n, depth - 1) + 1;
    if (n == 1) throw 42l;
    if (n == 2) throw std::runtime_error("two");
    if (n == 3) throw std::string("three");
    return n;
}
PART long catcher(long n) {
    try {
        return thrower(n, 4);
    } catch (const std::runtime_error &error) {
        sink = static_cast<long>(strlen(error.what()));
        throw;
    } catch (long value) {
        return value + sink;
    }
}
FLOW long flow_throw(long n) {
    try {
        std::vector<long> held(8, n);
        return catcher(n) + held[3];
    } catch (const std::exception &) {
        return 1000 + sink;
    } catch (...) {
        return 2000 + sink;
    }
}

FLOW long flow_jump(long n) {
    static jmp_buf place;
    volatile long turns = 0;
    if (setjmp(place) >= 3) return 50 + turns;
    turns++;
    if (n > turns) longjmp(place, static_cast<int>(turns));
    return turns;
}

// --- threads, signals, processes ----------------------------------------------------------------------------

static pthread_barrier_t barrier;
PART void *race(void *argument) {
    pthread_barrier_wait(&barrier);
    long n = reinterpret_cast<long>(argument);
    long sum = flow_loop(20 + n % 2) + flow_recursion(6) + flow_switch(5);
    return reinterpret_cast<void *>(sum - sum + n);
}
FLOW long flow_threads(long n) {
    std::vector<pthread_t> threads(static_cast<size_t>(n));
    pthread_barrier_init(&barrier, nullptr, static_cast<unsigned>(n));
    for (long i = 0; i < n; i++) pthread_create(&threads[i], nullptr, race, reinterpret_cast<void *>(i));
    long sum = 0;
    for (long i = 0; i < n; i++) {
        void *result;
        pthread_join(threads[i], &result);
        sum += reinterpret_cast<long>(result);
    }
    return sum;
}

static volatile long caught, where;
PART void on_signal(int number) {
    char here;
    where = reinterpret_cast<long>(&here);
    caught += number > 3 ? number : flow_switch(4);
}
PART void take(int number, int flags, bool all) {
    struct sigaction action = {};
    action.sa_handler = on_signal;
    action.sa_flags = flags;
    if (all) sigfillset(&action.sa_mask);
    sigaction(number, &action, nullptr);
}
FLOW long flow_signal(long n) {
    take(SIGUSR2, 0, n == 1);
    raise(SIGUSR2);
    return caught;
}

// A handler on a stack of its own, in which blocks are hit for the first time; 1: the trap had to run on it too.
PART void *alternate(void *) {
    static char room[64 << 10];
    stack_t stack = {};
    stack.ss_sp = room;
    stack.ss_size = sizeof room;
    sigaltstack(&stack, nullptr);
    take(SIGUSR2, SA_ONSTACK, false);
    raise(SIGUSR2);
    bool inside = where >= reinterpret_cast<long>(room) && where < reinterpret_cast<long>(room) + (long)sizeof room;
    stack.ss_flags = SS_DISABLE;
    sigaltstack(&stack, nullptr);
    return reinterpret_cast<void *>(inside ? 1l : 0l);
}
FLOW long flow_alternate(long) {
    pthread_t thread;
    void *result;
    pthread_create(&thread, nullptr, alternate, nullptr);
    pthread_join(thread, &result);
    return reinterpret_cast<long>(result);
}

// 0: pthread_sigmask, 1: sigprocmask, 2: in a thread that inherits the mask, 3: a system call that nobody can see.
FLOW long flow_blocked(long n) {
    sigset_t all, before, now;
    sigfillset(&all);
    if (n == 3) {
        unsigned long kernel = ~0ul;
        syscall(SYS_rt_sigprocmask, SIG_BLOCK, &kernel, nullptr, sizeof kernel);
        return flow_loop(5);
    }
    if (n == 1) sigprocmask(SIG_SETMASK, &all, &before); else pthread_sigmask(SIG_BLOCK, &all, &before);
    long sum = n == 2 ? flow_threads(2) : flow_loop(9);
    sigprocmask(SIG_BLOCK, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return sum + 1000 * sigismember(&now, SIGUSR1);
}

static volatile long foreign;
PART void on_trap(int) { foreign += sink > 5 ? 100 : 1; }
PART void trap_info(int, siginfo_t *info, void *) { foreign += info->si_code > 0 ? 10 : 1000; }
// A program that has breakpoints of its own: 0 by sigaction, 1 by signal, 2 sent by a process, 3 all of them.
FLOW long flow_own_trap(long n) {
    struct sigaction action = {}, old = {};
    action.sa_sigaction = trap_info;
    // A step of ptrace is a SIGTRAP too, and the kernel takes the handler from a program that blocks or ignores it just then.
    action.sa_flags = SA_SIGINFO | (n == 0 ? SA_NODEFER : 0);
    if (n == 0 || n == 3) {
        sigaction(SIGTRAP, &action, nullptr);
        __asm__ volatile("int3");
        sigaction(SIGTRAP, nullptr, &old);
        if (old.sa_sigaction != trap_info) return -1;
    }
    if (n == 1 || n == 3) {
        signal(SIGTRAP, on_trap);
        __asm__ volatile("int3");
        if (signal(SIGTRAP, SIG_DFL) != on_trap) return -2;
    }
    if (n == 2 || n == 3) {
        sigaction(SIGTRAP, &action, nullptr);
        raise(SIGTRAP);
        signal(SIGTRAP, SIG_IGN);
        raise(SIGTRAP);
    }
    return foreign + flow_loop(6);
}
FLOW long flow_breakpoint(long) {
    __asm__ volatile("int3");
    return ++sink;
}

FLOW long flow_fork(long n) {
    pid_t child = fork();
    if (child == 0) _exit(static_cast<int>(flow_switch(n) & 15));
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status) * 100 + flow_switch(8);
}

FLOW long flow_spawn(long n) {
    pid_t child = 0;
    if (n == 0) {
        const char *words[] = {"/bin/true", nullptr};
        if (posix_spawn(&child, words[0], nullptr, nullptr, const_cast<char **>(words), environ) != 0) return -1;
    } else {
        child = vfork();
        if (child == 0) _exit(flow_tail(3) ? 7 : 8);
    }
    int status;
    waitpid(child, &status, 0);
    return WEXITSTATUS(status) + flow_tail(n);
}

FLOW long flow_killed(long n) {
    long sum = flow_loop(n);
    if (sum != -1) kill(getpid(), SIGKILL);
    return flow_switch(n);
}

#pragma GCC diagnostic ignored "-Winfinite-recursion"
FLOW long flow_overflow(long n) {
    volatile char room[4096];
    memset(const_cast<char *>(room), static_cast<int>(n), sizeof room);
    return flow_overflow(n + 1) + room[n & 1023];
}

// --- for as long as a test wants ------------------------------------------------------------------------------

// Runs the ladder in this many threads at once, each with its own bytes; how many bytes were not written.
static char progress_of[8][4000];
PART void *climb(void *argument) {
    pthread_barrier_wait(&barrier);
    ladder(static_cast<char *>(argument));
    return nullptr;
}
FLOW long climbers(long n) {
    pthread_t threads[8];
    memset(progress_of, 0, sizeof progress_of);
    pthread_barrier_init(&barrier, nullptr, static_cast<unsigned>(n));
    for (long i = 0; i < n; i++) pthread_create(&threads[i], nullptr, climb, progress_of[i]);
    long missing = 0;
    for (long i = 0; i < n; i++) {
        pthread_join(threads[i], nullptr);
        for (char done : progress_of[i]) missing += done == 0;
    }
    return missing;
}

static std::atomic<long> turns, wrong;
static std::atomic<bool> enough;
PART void *turn(void *) {
    while (!enough) {
        long thrown = 0;
        try { thrower(1, 4); } catch (long value) { thrown = value; }
        wrong += flow_flags(4) != 2 || flow_red_zone(9) != 25 || tail_odd(5, 8) != 9 || thrown != 42;
        wrong += flow_double(3, 30) != flow_double(3, 30);
        turns++;
    }
    return nullptr;
}
// Threads that run blocks for ever; then how many turns they made, or minus how many gave a wrong result.
static pthread_t turners[4];
FLOW void turners_start() {
    for (pthread_t &thread : turners) pthread_create(&thread, nullptr, turn, nullptr);
}
FLOW long turners_stop() {
    enough = true;
    for (pthread_t &thread : turners) pthread_join(thread, nullptr);
    return wrong ? -wrong : turns.load();
}

// Runs when the process ends, after the interpreter.
PART long last_words() { return sink + 1; }
struct Last {
    ~Last() { if (sink >= 0) sink = last_words(); }
};
static Last last;
