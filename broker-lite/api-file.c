#include "broker-lite/api-file.h"

/* The assembler copies the file: C has no way to do that before C23's #embed. */
__asm__(".section .rodata\n"
	".global api_file, api_file_end\n"
	"api_file:\n"
	".incbin \"broker-lite/dcv-session-manager-api.yaml\"\n"
	"api_file_end:\n"
	".previous\n");
