/* The card that is emulated, as EMU_PROFILE describes it: "name=NVIDIA L4;capability=89;..." (perfgate/measure/emulator/profiles.py). */
#ifndef EMU_PROFILE_H
#define EMU_PROFILE_H

typedef struct {
    char name[64];
    long capability;                 /* 90 is 9.0 */
    long multiprocessors;
    long memory_mib, reserved_mib;   /* in all as NVML tells, and the part that the driver keeps from CUDA */
    long shared_bytes;               /* shared memory of a multiprocessor; a block may take 1 KiB less */
    long l2_bytes, threads, blocks;  /* threads and blocks that a multiprocessor holds */
    long registers;                  /* of a multiprocessor; a block may take all */
    long clock_mhz, memory_clock_mhz, bus_bits, power_w;
} Profile;

const Profile *emu_profile(void);
#endif
