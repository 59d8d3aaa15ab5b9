/* SIGTRAP stays with the tripwire, whatever the program under test does with signals.
 *
 * Two things would kill an armed process. A handler of somebody else's for SIGTRAP would get our traps and return
 * behind the int3, into the middle of an instruction (LLVM installs one with llvm::sys::RemoveFileOnSignal, absl with its
 * failure handler, Python with faulthandler.register). And a thread that has SIGTRAP blocked is killed by the kernel at
 * its next int3 (a synchronous signal is not held back: force_sig of Linux). absl blocks all signals while it makes the
 * identity of a thread (SetCurrentThreadIdentity) and while it holds the lock of an arena (LowLevelAlloc), LLVM while it
 * closes a file (SafelyCloseFileDescriptor); in the libraries of LiteRT that code of absl's is itself under coverage.
 *
 * So every loaded library that calls sigaction, signal, sigprocmask or pthread_sigmask calls ours instead: the entries of
 * its global offset table are overwritten (System V psABI for x86-64, section 4.4: R_X86_64_JUMP_SLOT, R_X86_64_GLOB_DAT).
 * A new handler for SIGTRAP is remembered, and gets what is no trap of ours; SIGTRAP is left out of every mask. All else
 * goes on to libc.
 *
 * Not covered: libraries that are loaded later; system calls made without libc; a pointer to one of the four in static
 * data; handlers that run inside ppoll(2) and its like with a mask of their own. What libc does with masks inside its own
 * functions is no matter (pthread_create, posix_spawn): no block of ours runs in there. `guard_holds` tells whether
 * SIGTRAP is still ours.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE 4096ul
#define TURNS 16

/* Whoever gets what is not ours. A new one is written beside the one in use; a handler that reads the old one meanwhile
 * has it for the next fifteen changes. */
static struct sigaction nexts[TURNS];
static _Atomic unsigned turn;
static void (*ours)(int, siginfo_t *, void *);

/* libc's own. By dlsym: in a program that is not position-independent `&sigaction` may be an entry of its own table. */
static int (*real_sigaction)(int, const struct sigaction *, struct sigaction *);
static int (*real_mask)(int, const sigset_t *, sigset_t *);

static void put_next(const struct sigaction *next) {
    unsigned mine = atomic_load(&turn) + 1;
    nexts[mine % TURNS] = *next;
    atomic_store(&turn, mine);
}

/* Whether SIGTRAP comes to us: who dies (stack.c) has given it away. */
int guard_holds(void) {
    struct sigaction now;
    return ours != NULL && real_sigaction(SIGTRAP, NULL, &now) == 0 && now.sa_sigaction == ours;
}

/* Gives a SIGTRAP that is not ours to whoever would have it without us. His sa_mask and SA_RESETHAND are not heeded. */
void guard_pass_on(int number, siginfo_t *info, void *context) {
    const struct sigaction *next = &nexts[atomic_load(&turn) % TURNS];
    if (next->sa_flags & SA_SIGINFO) {
        next->sa_sigaction(number, info, context);
    } else if (next->sa_handler == SIG_DFL || (next->sa_handler == SIG_IGN && info->si_code > 0)) {
        /* The kernel lets nobody ignore a breakpoint either. */
        const struct sigaction standard = {.sa_handler = SIG_DFL};
        real_sigaction(number, &standard, NULL);
        syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), number);
    } else if (next->sa_handler != SIG_IGN) {
        next->sa_handler(number);
    }
}

/* --- what libraries call instead of libc's ------------------------------------------------------------------- */

static int guarded_sigaction(int number, const struct sigaction *action, struct sigaction *old) {
    if (number == SIGTRAP && guard_holds()) {
        struct sigaction next = nexts[atomic_load(&turn) % TURNS];
        if (action != NULL)
            put_next(action);
        if (old != NULL)
            *old = next;
        return 0;
    }
    struct sigaction open;
    if (action != NULL && sigismember(&action->sa_mask, SIGTRAP) == 1) {
        open = *action;
        sigdelset(&open.sa_mask, SIGTRAP);
        action = &open;
    }
    return real_sigaction(number, action, old);
}

static sighandler_t guarded_signal(int number, sighandler_t handler) {
    if (number != SIGTRAP || !guard_holds())
        return signal(number, handler);
    struct sigaction old, action = {.sa_handler = handler, .sa_flags = SA_RESTART}; /* signal(2): BSD semantics */
    guarded_sigaction(number, &action, &old);
    return old.sa_handler;
}

static int guarded_pthread_sigmask(int how, const sigset_t *set, sigset_t *old) {
    sigset_t open;
    if (set != NULL && how != SIG_UNBLOCK && sigismember(set, SIGTRAP) == 1) {
        open = *set;
        sigdelset(&open, SIGTRAP);
        set = &open;
    }
    return real_mask(how, set, old);
}

static int guarded_sigprocmask(int how, const sigset_t *set, sigset_t *old) {
    int failed = guarded_pthread_sigmask(how, set, old);
    if (failed != 0)
        errno = failed;
    return failed != 0 ? -1 : 0;
}

/* --- having them call it ------------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    void *call;
} guarded[] = {
    {"sigaction", guarded_sigaction},
    {"signal", guarded_signal},
    {"sigprocmask", guarded_sigprocmask},
    {"pthread_sigmask", guarded_pthread_sigmask},
};

struct object {
    uintptr_t bias;
    uintptr_t fixed_begin, fixed_end;   /* pages that the linker made read-only when it was done (PT_GNU_RELRO) */
    const ElfW(Sym) *symbols;
    const char *strings;
};

/* Writes one entry of a global offset table. */
static void redirect(const struct object *object, uintptr_t at, void *call) {
    void *page = (void *)(at & ~(PAGE - 1));
    int fixed = object->fixed_begin <= at && at < object->fixed_end;
    if (fixed && mprotect(page, PAGE, PROT_READ | PROT_WRITE) != 0)
        return;
    atomic_store((_Atomic uintptr_t *)at, (uintptr_t)call);
    if (fixed)
        mprotect(page, PAGE, PROT_READ);
}

static void redirect_all(const struct object *object, const ElfW(Rela) *entry, size_t count) {
    for (; count > 0; count--, entry++) {
        unsigned long type = ELF64_R_TYPE(entry->r_info);
        if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT)
            continue;
        const ElfW(Sym) *symbol = &object->symbols[ELF64_R_SYM(entry->r_info)];
        if (symbol->st_shndx != SHN_UNDEF)
            continue;
        const char *name = object->strings + symbol->st_name;
        for (size_t i = 0; i < sizeof guarded / sizeof *guarded; i++)
            if (strcmp(name, guarded[i].name) == 0)
                redirect(object, object->bias + entry->r_offset, guarded[i].call);
    }
}

static int has(const struct dl_phdr_info *info, uintptr_t address) {
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
        if (info->dlpi_phdr[i].p_type == PT_LOAD && begin <= address && address < begin + info->dlpi_phdr[i].p_memsz)
            return 1;
    }
    return 0;
}

/* Called by dl_iterate_phdr for every object that is loaded. Ours and libc keep what they call. */
static int guard_object(struct dl_phdr_info *info, size_t size, void *unused) {
    (void)size, (void)unused;
    if (has(info, (uintptr_t)guard_object) || has(info, (uintptr_t)real_sigaction) || has(info, (uintptr_t)real_mask))
        return 0;
    struct object object = {.bias = info->dlpi_addr};
    const ElfW(Dyn) *dynamic = NULL;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + header->p_vaddr;
        if (header->p_type == PT_DYNAMIC)
            dynamic = (const ElfW(Dyn) *)begin;
        if (header->p_type == PT_GNU_RELRO) {
            object.fixed_begin = begin & ~(PAGE - 1);
            object.fixed_end = (begin + header->p_memsz) & ~(PAGE - 1);
        }
    }
    uintptr_t jumps = 0, others = 0, symbols = 0, strings = 0;
    size_t jump_bytes = 0, other_bytes = 0, relative = 0;
    for (; dynamic != NULL && dynamic->d_tag != DT_NULL; dynamic++) {
        /* The linker of glibc has made addresses of the offsets in here, except where the section is read-only. */
        uintptr_t address = dynamic->d_un.d_ptr < info->dlpi_addr ? info->dlpi_addr + dynamic->d_un.d_ptr : dynamic->d_un.d_ptr;
        switch (dynamic->d_tag) {
        case DT_JMPREL: jumps = address; break;
        case DT_PLTRELSZ: jump_bytes = dynamic->d_un.d_val; break;
        case DT_RELA: others = address; break;
        case DT_RELASZ: other_bytes = dynamic->d_un.d_val; break;
        case DT_RELACOUNT: relative = dynamic->d_un.d_val; break;
        case DT_SYMTAB: symbols = address; break;
        case DT_STRTAB: strings = address; break;
        }
    }
    if (symbols == 0 || strings == 0)
        return 0;
    object.symbols = (const ElfW(Sym) *)symbols;
    object.strings = (const char *)strings;
    if (jumps != 0)
        redirect_all(&object, (const ElfW(Rela) *)jumps, jump_bytes / sizeof(ElfW(Rela)));
    /* The relative ones come first, hundreds of thousands of them (DT_RELACOUNT). */
    if (others != 0 && other_bytes / sizeof(ElfW(Rela)) >= relative)
        redirect_all(&object, (const ElfW(Rela) *)others + relative, other_bytes / sizeof(ElfW(Rela)) - relative);
    return 0;
}

/* Takes SIGTRAP for good. The calling thread has it unblocked from now on, and so have the threads that it starts.
 * 0, or the errno of what failed: nothing is changed then. */
int guard_take(const struct sigaction *trap) {
    void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    if (libc == NULL)
        return ENOSYS;
    *(void **)&real_sigaction = dlsym(libc, "sigaction");
    *(void **)&real_mask = dlsym(libc, "pthread_sigmask");
    if (real_sigaction == NULL || real_mask == NULL)
        return ENOSYS;
    struct sigaction before;
    if (real_sigaction(SIGTRAP, NULL, &before) != 0)
        return errno;
    nexts[0] = before;
    if (real_sigaction(SIGTRAP, trap, NULL) != 0)
        return errno;
    ours = trap->sa_sigaction;
    sigset_t traps;
    sigemptyset(&traps);
    sigaddset(&traps, SIGTRAP);
    real_mask(SIG_UNBLOCK, &traps, NULL);
    dl_iterate_phdr(guard_object, NULL);
    return 0;
}
