/* What a kernel takes of a multiprocessor, read from the program in its fat binary when somebody asks: registers of a
 * thread (EIATTR_REGCOUNT of .nv.info) and static shared memory (.nv.shared of the kernel). Programs are compressed with
 * zstd, whose library is there on most systems; without it, and for Triton's kernels, the numbers stay assumed. */
#include <dlfcn.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "emu.h"
#include "api.h"
#include "needs.h"

enum { ZSTD = 0xfd2fb528, REGISTERS = 0x2f, VALUE = 4 };
typedef size_t (*Expand)(void *to, size_t room, const void *from, size_t size);
typedef struct { uint8_t format, attribute; uint16_t bytes; uint32_t symbol, value; } Told;

static const uint8_t *program_of(Image *image) {
    uint32_t magic;
    if (!image->body || image->program) return image->program;
    memcpy(&magic, image->body, sizeof magic);
    if (magic != ZSTD) return image->program = !memcmp(image->body, ELFMAG, SELFMAG) ? image->body : NULL;
    void *library = dlopen("libzstd.so.1", RTLD_NOW | RTLD_LOCAL);
    Expand expand = library ? (Expand)dlsym(library, "ZSTD_decompress") : NULL;
    uint8_t *whole = expand ? malloc(image->expanded_bytes) : NULL;
    if (whole && expand(whole, image->expanded_bytes, image->body, image->body_bytes) != image->expanded_bytes) { free(whole); whole = NULL; }
    return image->program = whole;
}

/* The number that .nv.info has of a symbol; 0 if there is none. */
static unsigned told_of(const uint8_t *at, size_t size, uint32_t symbol) {
    for (size_t i = 0; i + 4 <= size;) {
        const Told *told = (const Told *)(at + i);
        if (told->format == VALUE && told->attribute == REGISTERS && told->symbol == symbol) return told->value;
        i += 4 + (told->format == VALUE ? told->bytes : 0);
    }
    return 0;
}

static void look_up(const uint8_t *program, const char *kernel, Needs *needs) {
    const Elf64_Ehdr *head = (const Elf64_Ehdr *)program;
    const Elf64_Shdr *sections = (const Elf64_Shdr *)(program + head->e_shoff);
    const char *names = (const char *)program + sections[head->e_shstrndx].sh_offset;
    char shared[2048];
    snprintf(shared, sizeof shared, ".nv.shared.%s", kernel);
    uint32_t symbol = 0;
    for (int i = 0; i < head->e_shnum; i++) {
        const char *name = names + sections[i].sh_name;
        if (!strcmp(name, shared)) needs->shared_bytes = (int)sections[i].sh_size;
        if (sections[i].sh_type != SHT_SYMTAB) continue;
        const Elf64_Sym *symbols = (const Elf64_Sym *)(program + sections[i].sh_offset);
        const char *texts = (const char *)program + sections[sections[i].sh_link].sh_offset;
        for (uint32_t j = 0; j < sections[i].sh_size / sizeof *symbols && !symbol; j++)
            if (ELF64_ST_TYPE(symbols[j].st_info) == STT_FUNC && !strcmp(texts + symbols[j].st_name, kernel)) symbol = j;
    }
    for (int i = 0; i < head->e_shnum && symbol; i++) {
        if (strcmp(names + sections[i].sh_name, ".nv.info")) continue;
        unsigned registers = told_of(program + sections[i].sh_offset, sections[i].sh_size, symbol);
        if (registers) { needs->registers = (int)registers; needs->known = 1; }
    }
}

Needs emu_needs(const Kernel *kernel) {
    Needs needs = {ASSUMED_REGISTERS, 0, 0};
    Image *image = kernel ? (Image *)kernel->image : NULL;
    const uint8_t *program = image ? program_of(image) : NULL;
    if (program) look_up(program, kernel->name, &needs);
    if (setting("EMU_DEBUG", 0)) fprintf(stderr, "emu: %d registers (%s), %d bytes of shared memory: %s\n", needs.registers, needs.known ? "read" : "assumed", needs.shared_bytes, kernel ? kernel->name : "");
    return needs;
}
