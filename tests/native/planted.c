/* Functions that die in ways known beforehand, for tests of native stacks. */
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define PLANTED __attribute__((noinline, visibility("default")))
static volatile int sink;

PLANTED int reads_nowhere(volatile int *pointer) { return *pointer; }
PLANTED int planted_segfault(void) { return reads_nowhere((int *)16) + sink; }

PLANTED void gives_up(void) { abort(); }
PLANTED void planted_outer(void) { gives_up(); sink++; }
PLANTED void planted_abort(void) { planted_outer(); sink++; }

PLANTED int planted_division(int by) { return 7 / by; }
PLANTED void planted_fpe(void) { sink = planted_division(sink); }

PLANTED void planted_trap(void) { __builtin_trap(); }
PLANTED void planted_breakpoint(void) { __asm__ volatile("int3"); sink++; }

PLANTED void busy_one(void) { for (int i = 0; i < 1000; i++) sink++; }
PLANTED void busy_two(void) { for (int i = 0; i < 1000; i++) sink--; }
PLANTED void planted_loop(void) { for (;;) { busy_one(); busy_two(); } }

PLANTED int planted_recursion(int depth) {
    volatile char room[512];
    memset((char *)room, depth, sizeof room);
    return planted_recursion(depth + 1) + room[depth % 512];
}

static void *thread_body(void *unused) { (void)unused; planted_segfault(); return NULL; }
PLANTED void planted_thread(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, thread_body, NULL);
    pthread_join(thread, NULL);
}

static void *busy_body(void *unused) { (void)unused; planted_loop(); return NULL; }
PLANTED void planted_busy_thread(void) {
    pthread_t thread;
    pthread_create(&thread, NULL, busy_body, NULL);
    pthread_join(thread, NULL);
}

PLANTED void planted_bad_call(void) { ((void (*)(void))(uintptr_t)64)(); sink++; }

/* Writes over its caller's frames, then dies: nothing can be walked behind the innermost one. */
PLANTED void planted_smashed(void) {
    volatile uintptr_t *above = (volatile uintptr_t *)__builtin_frame_address(0);
    for (int i = 0; i < 64; i++) above[i] = 0x4141414141414141u;
    *(volatile int *)16 = 1;
}

static char *volatile block;    /* or the compiler sees that nobody reads what is allocated */

PLANTED void planted_double_free(void) {
    block = malloc(64);
    free(block);
    free(block);
}

/* Writes over the size of a block, then has the heap look at it. */
PLANTED void planted_heap_crash(void) {
    block = malloc(2000);
    memset(block - 8, 0x41, 16);
    free(block);
}
