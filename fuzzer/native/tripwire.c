/* Which basic blocks run: a breakpoint in each, taken out when it is hit for the first time.
 *
 * Every block of the covered libraries starts with int3 (one byte, 0xCC). The trap handler looks the address up, notes
 * the block in memory that it shares with the owner of the process, puts the original byte back, and has the instruction
 * run again. A block costs one trap, and nothing from then on.
 *
 * What the owner shares: one byte a block (UNKNOWN, KNOWN, HIT) and two counters. There is no log: the bytes are the
 * record, so a process may be killed between any two instructions of the handler and no block is lost or half written.
 * The counters tell the owner whether it is worth looking: `begun` goes up before a byte becomes HIT, `ended` after it.
 * `ended` read first and `begun` second, and both the same: every hit so far is in the bytes.
 *
 * Order in the handler: first the byte in shared memory, then the original instruction. A block that ran is always noted;
 * one that is noted may have been kept from running, by a SIGKILL in between.
 *
 * Threads. All of them share the text. Where two run into one block, both trap, both note it (the second finds HIT and
 * leaves it) and both write the same original byte; where the byte is the original again before the trap of the second is
 * handled, it is found in the table all the same and simply goes back. Nobody waits for anybody.
 *
 * Writing code that others run ("cross-modifying code", Intel SDM volume 3A, section "Handling Self- and Cross-Modifying
 * Code"; AMD APM volume 2, "Cross-Modifying Code"): each store changes one byte, and one that is the first of an
 * instruction, so another processor fetches the old instruction or the new one and never a mixture of both. What it
 * fetches late it may: an old int3 traps once more and is found in the table, an old original runs a block
 * that is noted later. The trap and the return from it (IRET) serialise, so what is fetched after the handler is what it
 * wrote. Linux relies on the same for its own text (arch/x86/kernel/alternative.c, text_poke: int3 first).
 *
 * Async-signal-safe: what a hit runs is loads, stores and atomic operations on memory mapped beforehand; no
 * system call, no lock, errno is not touched. Memory is mapped, not taken from the heap, and is never given back: threads
 * run into blocks while the interpreter shuts down. The kernel keeps the red zone and the vector registers
 * (sigreturn(2), x86-64 psABI 3.2.2).
 *
 * fuzzer/coverage/tripwire.py has the other side of the shared memory: change both.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <link.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#if !defined(__x86_64__) || !defined(__linux__)
#error "int3 is x86-64, dl_iterate_phdr and the registers of a trap are those of Linux"
#endif

#define INT3 0xCC
#define MODULES 16
#define SEGMENTS 8              /* executable ones in a library; linkers make one */
#define PAGE 4096ul

enum { UNKNOWN, KNOWN, HIT };   /* the owner knows of it, or it has yet to read it */

struct counters {
    _Atomic uint64_t begun;
    _Atomic uint64_t ended;
};

struct segment {
    uintptr_t begin, end;       /* end: the first byte behind it */
    int protection;
};

struct module {
    uint8_t *base;              /* where its first block begins */
    uint32_t span;              /* bytes from there to where its last block begins */
    uint32_t count;
    uint32_t first;             /* the number of its first block */
    uint32_t *offsets;          /* of each block, from base; ascending */
    _Atomic uint8_t *originals; /* the byte under the int3; INT3: this block was never armed */
    struct segment pages[SEGMENTS];
    int segments;
};

static struct module modules[MODULES];
static int module_count;        /* final when the handler is installed */
static struct counters *counters;
static _Atomic uint8_t *states;
static _Atomic int armed;

/* guard.c */
int guard_take(const struct sigaction *trap);
void guard_pass_on(int number, siginfo_t *info, void *context);

/* --- the handler -------------------------------------------------------------------------------------------- */

static _Atomic uint8_t *code_of(const struct module *module, uint32_t index) {
    return (_Atomic uint8_t *)(module->base + module->offsets[index]);
}

/* The index of the block that begins at `offset`; `count` where none does. */
static uint32_t find(const struct module *module, uint32_t offset) {
    uint32_t low = 0, high = module->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (module->offsets[middle] < offset)
            low = middle + 1;
        else
            high = middle;
    }
    return low < module->count && module->offsets[low] == offset ? low : module->count;
}

static void note(uint32_t number) {
    uint8_t unknown = UNKNOWN;
    if (atomic_load_explicit(&states[number], memory_order_relaxed) != UNKNOWN)
        return;
    atomic_fetch_add(&counters->begun, 1);
    atomic_compare_exchange_strong(&states[number], &unknown, HIT);
    atomic_fetch_add(&counters->ended, 1);
}

/* Whether an int3 of ours was at this address. It is gone then. */
static int hit(uintptr_t address) {
    for (int i = 0; i < module_count; i++) {
        const struct module *module = &modules[i];
        uintptr_t offset = address - (uintptr_t)module->base; /* wraps round for addresses before it */
        if (offset > module->span)
            continue;
        uint32_t index = find(module, (uint32_t)offset);
        if (index == module->count)
            continue; /* two tables may share a library */
        uint8_t original = atomic_load(&module->originals[index]);
        if (original == INT3)
            continue;
        note(module->first + index);
        atomic_store(code_of(module, index), original);
        return 1;
    }
    return 0;
}

/* si_code: Linux gives SI_KERNEL to int3; kernels that imitate it may give what POSIX says, TRAP_BRKPT. A step of a
 * debugger and what a process sends have others, and say nothing about the instruction before. */
static void on_trap(int number, siginfo_t *info, void *context) {
    greg_t *next = &((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
    if ((info->si_code == SI_KERNEL || info->si_code == TRAP_BRKPT) && hit((uintptr_t)*next - 1)) {
        *next -= 1;
        return;
    }
    int saved = errno;
    guard_pass_on(number, info, context);
    errno = saved;
}

/* --- called from Python, by one thread ---------------------------------------------------------------------- */

struct search {
    uintptr_t within;
    uintptr_t bias;
    struct segment executable[SEGMENTS];
    int count;                  /* -1: no object has this address */
};

static int find_object(struct dl_phdr_info *info, size_t size, void *argument) {
    struct search *search = argument;
    int here = 0, count = 0;
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &info->dlpi_phdr[i];
        uintptr_t begin = info->dlpi_addr + header->p_vaddr;
        if (header->p_type != PT_LOAD)
            continue;
        here |= begin <= search->within && search->within < begin + header->p_memsz;
        if ((header->p_flags & PF_X) && count < SEGMENTS)
            search->executable[count++] = (struct segment){
                begin, begin + header->p_filesz,
                PROT_EXEC | (header->p_flags & PF_R ? PROT_READ : 0) | (header->p_flags & PF_W ? PROT_WRITE : 0)};
    }
    if (here) {
        search->bias = info->dlpi_addr;
        search->count = count;
    }
    return here;
}

/* Maps the owner's memory: counters and states at these offsets. 0 or an errno. */
int tripwire_share(int memory, long bytes, long counters_at, long states_at) {
    if (states != NULL)
        return EALREADY;
    uint8_t *shared = mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    if (shared == MAP_FAILED)
        return errno;
    counters = (struct counters *)(shared + counters_at);
    states = (_Atomic uint8_t *)(shared + states_at);
    return 0;
}

/* Which page-aligned part of each executable segment has blocks. 0, or EFAULT for a block outside of all of them. */
static int lay_out(struct module *module, const struct search *found) {
    uint32_t at = 0;
    module->segments = 0;
    while (at < module->count) {
        uintptr_t address = (uintptr_t)module->base + module->offsets[at];
        const struct segment *in = NULL;
        for (int i = 0; i < found->count; i++)
            if (found->executable[i].begin <= address && address < found->executable[i].end)
                in = &found->executable[i];
        if (in == NULL || module->segments == SEGMENTS)
            return EFAULT;
        while (at < module->count && (uintptr_t)module->base + module->offsets[at] < in->end)
            at++;
        uintptr_t last = (uintptr_t)module->base + module->offsets[at - 1];
        module->pages[module->segments++] =
            (struct segment){address & ~(PAGE - 1), (last & ~(PAGE - 1)) + PAGE, in->protection};
    }
    return 0;
}

static int protect(const struct module *module, int more) {
    for (int i = 0; i < module->segments; i++) {
        const struct segment *pages = &module->pages[i];
        if (mprotect((void *)pages->begin, pages->end - pages->begin, pages->protection | more) != 0)
            return errno;
    }
    return 0;
}

/* Takes in a library: the one that has the address `within`. `addresses` are those of its file, ascending; its first block
 * has the number `first`. Its text can be written afterwards, nothing is armed yet.
 * 0, or: ENOENT no library there, EINVAL not ascending, EFAULT a block outside of what is executable, E2BIG too many
 * libraries, EALREADY armed before, or what mmap and mprotect say. */
int tripwire_add(const void *within, const uint64_t *addresses, uint32_t count, uint32_t first) {
    if (states == NULL || atomic_load(&armed))
        return EALREADY;
    if (count == 0)
        return 0;
    if (module_count == MODULES)
        return E2BIG;
    struct search found = {.within = (uintptr_t)within, .count = -1};
    dl_iterate_phdr(find_object, &found);
    if (found.count < 0)
        return ENOENT;
    void *room = mmap(NULL, count * (sizeof(uint32_t) + 1ul), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED)
        return errno;
    struct module *module = &modules[module_count];
    module->base = (uint8_t *)(found.bias + addresses[0]);
    module->count = count;
    module->first = first;
    module->offsets = room;
    module->originals = (_Atomic uint8_t *)(module->offsets + count);
    int failed = 0;
    for (uint32_t i = 0; i < count && !failed; i++) {
        uint64_t offset = addresses[i] - addresses[0];
        if (offset > UINT32_MAX || (i > 0 && addresses[i] <= addresses[i - 1]))
            failed = EINVAL;
        module->offsets[i] = (uint32_t)offset;
        atomic_store_explicit(&module->originals[i], INT3, memory_order_relaxed);
    }
    module->span = module->offsets[count - 1];
    if (!failed)
        failed = lay_out(module, &found);
    if (!failed && (failed = protect(module, PROT_READ | PROT_WRITE)) != 0)
        protect(module, 0);
    if (failed)
        munmap(room, count * (sizeof(uint32_t) + 1ul));
    else
        module_count++;
    return failed;
}

/* Puts an int3 there. A byte that is one already is armed, or it is the compiler's, which must do what it is there for. */
static int plant(struct module *module, uint32_t index) {
    _Atomic uint8_t *code = code_of(module, index);
    uint8_t now = atomic_load_explicit(code, memory_order_relaxed);
    if (now == INT3)
        return 0;
    atomic_store(&module->originals[index], now);
    atomic_store_explicit(code, INT3, memory_order_release);
    return 1;
}

/* Takes SIGTRAP and arms every block that is UNKNOWN. How many, or -errno: nothing is armed then. */
long tripwire_arm(void) {
    long planted = 0;
    /* SA_NODEFER: whoever gets what is not ours may send the signal again and wants it at once. SA_ONSTACK: a thread may
     * trap at the very end of its stack. */
    struct sigaction trap = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART};
    int failed = atomic_load(&armed) ? EALREADY : guard_take(&trap);
    if (failed)
        return -failed;
    atomic_store(&armed, 1);
    for (int i = 0; i < module_count; i++)
        for (uint32_t index = 0; index < modules[i].count; index++)
            if (atomic_load_explicit(&states[modules[i].first + index], memory_order_relaxed) == UNKNOWN)
                planted += plant(&modules[i], index);
    return planted;
}

/* Arms these blocks, whatever they were, and makes them UNKNOWN. How many have an int3 that had none. Numbers that are no
 * block's are passed over. Other threads may run meanwhile, but a block that one of them hits at this very moment may be
 * left as it was before: UNKNOWN and without int3. What is measured exactly is a process at rest. */
long tripwire_rearm(const uint32_t *numbers, long count) {
    long planted = 0;
    for (long i = 0; i < count && atomic_load(&armed); i++)
        for (int j = 0; j < module_count; j++) {
            uint32_t index = numbers[i] - modules[j].first;
            if (index >= modules[j].count)
                continue;
            atomic_store(&states[numbers[i]], UNKNOWN); /* before the int3: who hits that must find it so */
            planted += plant(&modules[j], index);
        }
    return planted;
}

/* Puts every original byte back. The handler stays: a thread may have trapped and not yet arrived there. How many. */
long tripwire_disarm(void) {
    long restored = 0;
    for (int i = 0; i < module_count; i++)
        for (uint32_t index = 0; index < modules[i].count; index++) {
            uint8_t original = atomic_load(&modules[i].originals[index]);
            _Atomic uint8_t *code = code_of(&modules[i], index);
            if (original == INT3 || atomic_load(code) != INT3)
                continue;
            atomic_store(code, original);
            restored++;
        }
    return restored;
}

/* Gives the text of every library its protection back; for a start that failed before anything was armed. */
void tripwire_give_up(void) {
    if (atomic_load(&armed))
        return;
    for (int i = 0; i < module_count; i++)
        protect(&modules[i], 0);
    module_count = 0;
}
