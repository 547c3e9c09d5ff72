/* Which of the programs in a fat binary the card runs: the kernel's attributes follow from it, and CUB chooses by them
 * (an L4, 8.9, runs what was built for 8.6). The layout is read from what nvcc writes: a wrapper that points to a header,
 * then entries of a header and a body each. */
#include <stdint.h>
#include <stdlib.h>
#include "emu.h"
#include "profile.h"

enum { WRAPPER = 0x466243b1, HEADER = 0xba55ed50, PTX = 1, ELF = 2 };
typedef struct { uint32_t magic, version; const uint8_t *data; const void *rest; } Wrapper;
typedef struct { uint32_t magic; uint16_t version, header_bytes; uint64_t bytes; } Header;
typedef struct { uint16_t kind, version; uint32_t header_bytes; uint64_t bytes; uint32_t compressed_bytes, unknown; uint16_t minor, major; uint32_t capability, more[6]; uint64_t expanded_bytes; } Entry;

Image *emu_image(const void *binary) {
    const Wrapper *wrapper = binary;
    long own = emu_profile()->capability;
    Image *image = calloc(1, sizeof *image);
    image->binary = image->ptx = (int)own; /* where the layout is another one, as if it was built for this card */
    if (!wrapper || wrapper->magic != WRAPPER || ((const Header *)wrapper->data)->magic != HEADER) return image;
    const Header *header = (const Header *)wrapper->data;
    const uint8_t *at = wrapper->data + header->header_bytes, *end = at + header->bytes;
    long program = 0, text = 0;
    while (at + sizeof(Entry) <= end) {
        const Entry *entry = (const Entry *)at;
        long built = entry->capability;
        if (entry->kind == ELF && built / 10 == own / 10 && built <= own && built > program) {
            program = built;
            image->body = at + entry->header_bytes;
            image->body_bytes = entry->compressed_bytes ? entry->compressed_bytes : entry->bytes;
            image->expanded_bytes = entry->expanded_bytes;
        }
        if (entry->kind == PTX && built <= own && built > text) text = built;
        at += entry->header_bytes + entry->bytes;
    }
    image->binary = (int)(program ? program : text ? own : 0);
    image->ptx = (int)(program ? program : text);
    return image;
}
