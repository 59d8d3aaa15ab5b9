/* Stacks of a process that dies or hangs, as raw addresses in shared memory.
 *
 * The owner of an executor gives it a memfd. A signal that kills (SIGSEGV, SIGABRT, ...) writes one stack there and goes
 * on to whoever had the signal before: Python's faulthandler, which prints the Python stack, and then the default. The
 * sampling signal writes one stack and returns. The addresses are given names outside, where nothing is broken.
 *
 * What runs inside a handler is async-signal-safe: stores to memory mapped beforehand, the system calls open, read,
 * close, gettid, tgkill, nanosleep and sigaction (signal-safety(7)), and the unwinder of libgcc. That one is not on the
 * list of POSIX, but takes no memory: it reads .eh_frame of what is loaded. `stack_prepare` runs it once, so
 * that everything it initialises lazily is there. If it fails all the same, the second signal finds the first at work and
 * goes straight on; what was written by then stays.
 *
 * fuzzer/native/trace.py reads the area and has the same numbers: change both.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>

#if !defined(__x86_64__) || !defined(__linux__)
#error "the handler reads the registers of x86-64 Linux"
#endif

#define FRAMES 128              /* innermost return addresses of a stack */
#define STACKS 8                /* 0: the crash; 1 and up: samples */
#define MAPS_AT 16384           /* where the text of /proc/self/maps begins */
#define MAPS_BYTES (1 << 20)    /* TensorFlow's has about 60 kB */
#define AREA_BYTES (MAPS_AT + MAPS_BYTES)
#define HANDLER_STACK_BYTES (256 << 10)

struct stack {
    uint32_t signal;            /* 0: nothing was written */
    int32_t code;               /* si_code */
    uint32_t thread;
    _Atomic uint32_t count;     /* of `frames` that are written */
    uint64_t address;           /* si_addr: what could not be read, written or run */
    uint64_t pointer;           /* the stack pointer where the signal struck */
    uint64_t frames[FRAMES];    /* the first is where it struck, the others lie within their call instructions */
};

struct area {
    _Atomic uint32_t samples;   /* of `stacks` that are whole, the crash not among them */
    _Atomic uint32_t maps;      /* bytes of text at MAPS_AT */
    struct stack stacks[STACKS];
};

_Static_assert(sizeof(struct stack) == 32 + 8 * FRAMES, "trace.py reads it so");
_Static_assert(sizeof(struct area) == 8 + STACKS * sizeof(struct stack), "trace.py reads it so");
_Static_assert(sizeof(struct area) <= MAPS_AT, "the text of the maps lies behind");

static const int deadly[] = {SIGSEGV, SIGABRT, SIGFPE, SIGBUS, SIGILL, SIGTRAP};
#define DEADLY (sizeof(deadly) / sizeof(deadly[0]))

static struct sigaction before[DEADLY];
static struct area *area;
static _Atomic int crashing;    /* the thread whose crash is being written */
static _Atomic int written;     /* it is */
static _Unwind_Reason_Code (*backtrace)(_Unwind_Trace_Fn, void *);
static _Unwind_Ptr (*address_of)(struct _Unwind_Context *, int *);

/* --- writing a stack ---------------------------------------------------------------------------------------- */

struct walk {
    struct stack *to;
    int arrived;                /* the frames of the handler itself are behind us */
};

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *argument) {
    struct walk *walk = argument;
    int struck = 0;             /* set for the frame that the signal interrupted: its address is no return address */
    uint64_t address = address_of(context, &struck);
    uint32_t count = atomic_load_explicit(&walk->to->count, memory_order_relaxed);
    if (!walk->arrived) {
        walk->arrived = struck;
        if (!struck || address == walk->to->frames[0])
            return _URC_NO_REASON;
    }
    if (address == 0 || count >= FRAMES)
        return _URC_END_OF_STACK;
    walk->to->frames[count] = struck ? address : address - 1;
    atomic_store_explicit(&walk->to->count, count + 1, memory_order_release);
    return _URC_NO_REASON;
}

static void write_stack(struct stack *to, int number, const siginfo_t *info, ucontext_t *context) {
    greg_t *registers = context->uc_mcontext.gregs;
    greg_t at = registers[REG_RIP], pointer = registers[REG_RSP];
    to->code = info->si_code;
    to->thread = (uint32_t)syscall(SYS_gettid);
    to->address = (number == SIGUSR2 || info->si_code <= 0) ? 0 : (uint64_t)(uintptr_t)info->si_addr;
    to->pointer = (uint64_t)pointer;
    to->frames[0] = (uint64_t)at;
    atomic_store_explicit(&to->count, 1, memory_order_release);
    to->signal = (uint32_t)number;
    /* A call through a bad pointer: there is no function here to unwind from. The call has just pushed where it came
     * from, so the walk starts there. */
    int astray = number == SIGSEGV && info->si_code > 0 && to->address == (uint64_t)at;
    if (astray) {
        registers[REG_RIP] = *(greg_t *)pointer - 1;
        registers[REG_RSP] = pointer + (greg_t)sizeof(greg_t);
    }
    struct walk walk = {to, 0};
    backtrace(visit, &walk);
    if (astray) {
        registers[REG_RIP] = at;
        registers[REG_RSP] = pointer;
    }
}

/* Copies what is loaded where: the process will not be there to ask. */
static void write_maps(void) {
    char *text = (char *)area + MAPS_AT;
    uint32_t size = 0;
    int file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return;
    while (size < MAPS_BYTES) {
        ssize_t got = read(file, text + size, MAPS_BYTES - size);
        if (got <= 0)
            break;
        size += (uint32_t)got;
    }
    close(file);
    atomic_store_explicit(&area->maps, size, memory_order_release);
}

/* --- handlers ----------------------------------------------------------------------------------------------- */

/* Hands the signal to whoever had it before us, who gets it at once: SA_NODEFER. */
static void pass_on(int number) {
    struct sigaction standard = {.sa_handler = SIG_DFL}, *next = &standard;
    for (size_t i = 0; i < DEADLY; i++)
        if (deadly[i] == number)
            next = &before[i];
    sigaction(number, next, NULL);
    syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), number);
}

/* Writes the stack of a crash and passes the signal on. Not static: a handler that takes SIGTRAP for a purpose of its own
 * ends here with what is none of its business. */
void stack_on_crash(int number, siginfo_t *info, void *context) {
    int thread = (int)syscall(SYS_gettid), none = 0;
    if (atomic_compare_exchange_strong(&crashing, &none, thread)) {
        write_maps(); /* first: the walk may fail on a stack that is overwritten */
        write_stack(&area->stacks[0], number, info, context);
        atomic_store(&written, 1);
    } else if (none != thread) {
        /* Two threads crash at once: the first writes, for at most a second. */
        const struct timespec wait = {0, 10 * 1000 * 1000};
        for (int i = 0; i < 100 && !atomic_load(&written); i++)
            nanosleep(&wait, NULL);
    }
    pass_on(number);
}

/* Writes the stack of the thread it is sent to, which goes on as if nothing had been. */
static void on_sample(int number, siginfo_t *info, void *context) {
    int saved = errno;
    uint32_t taken = atomic_load(&area->samples);
    if (taken + 1 < STACKS) {
        write_stack(&area->stacks[1 + taken], number, info, context);
        atomic_store(&area->samples, taken + 1);
    }
    errno = saved;
}

/* --- called from Python ------------------------------------------------------------------------------------- */

static _Unwind_Reason_Code count_frames(struct _Unwind_Context *context, void *argument) {
    int struck;
    address_of(context, &struck);
    ++*(int *)argument;
    return _URC_NO_REASON;
}

/* Finds the unwinder and runs it once. Call it in the process that executors are forked from. The number of frames it saw,
 * or -1 where there is no libgcc. */
int stack_prepare(void) {
    void *library = dlopen("libgcc_s.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return -1;
    *(void **)&backtrace = dlsym(library, "_Unwind_Backtrace");
    *(void **)&address_of = dlsym(library, "_Unwind_GetIPInfo");
    if (backtrace == NULL || address_of == NULL)
        return -1;
    int frames = 0;
    backtrace(count_frames, &frames);
    return frames;
}

/* Bytes that the owner's memory must have behind the offset given to `stack_install`. */
long stack_area_bytes(void) { return AREA_BYTES; }

/* Maps the owner's memory and takes the signals; `stack_prepare` comes first. The calling thread gets a stack of its own
 * for handlers, so that an overflow of its stack is seen too. 0, or the errno of what failed: nothing is changed then. */
int stack_install(int memory, long offset) {
    if (backtrace == NULL)
        return ENOSYS;
    void *mapped = mmap(NULL, AREA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memory, offset);
    if (mapped == MAP_FAILED)
        return errno;
    void *own = mmap(NULL, HANDLER_STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (own == MAP_FAILED)
        return errno;
    stack_t alternate = {.ss_sp = own, .ss_size = HANDLER_STACK_BYTES};
    if (sigaltstack(&alternate, NULL) != 0)
        return errno;
    area = mapped;
    atomic_store(&crashing, 0);
    /* SA_NODEFER: a crash inside the handler comes back to it instead of ending the process without the Python stack. */
    struct sigaction crash = {.sa_sigaction = stack_on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
    for (size_t i = 0; i < DEADLY; i++)
        if (sigaction(deadly[i], &crash, &before[i]) != 0)
            return errno;
    /* SA_RESTART: a system call of the sampled thread is not cut short. */
    struct sigaction sample = {.sa_sigaction = on_sample, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART};
    return sigaction(SIGUSR2, &sample, NULL) == 0 ? 0 : errno;
}
