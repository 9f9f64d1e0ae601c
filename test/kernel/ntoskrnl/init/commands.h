/*
 * commands.h: the console's commands, in two files: console.c (line editor, looking) and trouble.c (making things
 * happen to a debugger).
 */
#ifndef VMK_COMMANDS_H
#define VMK_COMMANDS_H

#include "ki.h"

/* Puts one line into Answer. FALSE: the command failed and Answer says why. */
typedef BOOLEAN CONSOLE_ROUTINE(PCSTR Arguments, PCHAR Answer, ULONG Size);

typedef struct _CONSOLE_COMMAND {
  PCSTR Name, Help;
  CONSOLE_ROUTINE *Routine;
} CONSOLE_COMMAND;

extern const CONSOLE_COMMAND TroubleCommands[];

/* Decimal, or hexadecimal with 0x; Default if there is no number. Advances *Text. */
ULONG64 ConsoleNumber(PCSTR *Text, ULONG64 Default);
BOOLEAN ConsoleStatus(NTSTATUS Status, PCHAR Answer, ULONG Size, PCSTR Done);

#endif
