// The one function of bcryptprimitives.dll that Rust's standard library calls, for Wine 8, which has no such library.
#include <windows.h>

BOOLEAN NTAPI SystemFunction036(PVOID bytes, ULONG count); // RtlGenRandom

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE bytes, SIZE_T count) {
    return SystemFunction036(bytes, (ULONG)count);
}
