/*
 * usersvc.h: system-service numbers shared by the kernel and the user program (those of Windows 10 19041).
 */
#ifndef VMK_USERSVC_H
#define VMK_USERSVC_H

#define SERVICE_NtTerminateProcess 0x2C
#define SERVICE_NtQueryPerformanceCounter 0x31
#define SERVICE_NtDelayExecution 0x34
#define SERVICE_NtYieldExecution 0x46
#define SERVICE_NtQuerySystemTime 0x5A
#define SERVICE_LIMIT 0x60

#endif
