/*
 * kdfile.c - kdfiles: before a driver is loaded the debugger may offer its own copy of the file.
 *
 *   create(name) -> handle, length;  read(handle, offset, n) -> bytes, repeated;  close(handle)
 *
 * "No" is C000000F in the answer to create.  Nothing here waits for ever: a debugger that acknowledges the
 * question and never answers costs KDP_ANSWER_TRIES waits, then the machine takes its own file.
 */
#include "kdp.h"

#define KDP_FILE_CHUNK (PACKET_MAX_SIZE - sizeof(DBGKD_FILE_IO))
#define KDP_MAX_FILE_NAME 260

#define FILE_GENERIC_READ 0x00120089u
#define FILE_SHARE_READ 0x00000001u
#define FILE_OPEN 0x00000001u
#define FILE_SYNCHRONOUS_IO_NONALERT 0x00000020u
#define FILE_ATTRIBUTE_NORMAL 0x00000080u

/*
 * Sends FileIo with Data and waits for the answer of the same kind, which replaces FileIo; its data lies
 * in KdpMessageBuffer, its length in *Length.
 */
static NTSTATUS KdpFileExchange(DBGKD_FILE_IO *FileIo, PSTRING Data, PULONG Length)
{
  DBGKD_FILE_IO Question = *FileIo;
  STRING Header, Answer;
  ULONG Tries = KDP_ANSWER_TRIES;
  KDSTATUS Status;

  Answer.Buffer = KdpMessageBuffer;
  Answer.MaximumLength = KDP_MESSAGE_BUFFER_SIZE;
  do {
    *FileIo = Question;
    Header.Buffer = (PCHAR)FileIo;
    Header.Length = Header.MaximumLength = sizeof(*FileIo);
    KdSendPacket(PACKET_TYPE_KD_FILE_IO, &Header, Data, &KdpContext);
    if (KdDebuggerNotPresent) {
      return STATUS_DEBUGGER_INACTIVE;
    }
    do {
      Status = KdReceivePacket(PACKET_TYPE_KD_FILE_IO, &Header, &Answer, Length, &KdpContext);
    } while (Status == KDP_PACKET_TIMEOUT && --Tries);
    if (Status == KDP_PACKET_TIMEOUT) {
      return STATUS_IO_TIMEOUT;
    }
  } while (Status != KDP_PACKET_RECEIVED);
  return FileIo->Status;
}

static NTSTATUS KdpOpenRemoteFile(PUNICODE_STRING Name, PULONG64 Handle, PULONG64 FileLength)
{
  static WCHAR NameBuffer[KDP_MAX_FILE_NAME];
  ULONG Characters = min(Name->Length / sizeof(WCHAR), (ULONG64)KDP_MAX_FILE_NAME - 1);
  DBGKD_FILE_IO FileIo;
  NTSTATUS Status;
  ULONG Length;
  STRING Data;

  KdpMoveMemory(NameBuffer, Name->Buffer, Characters * sizeof(WCHAR));
  NameBuffer[Characters] = 0;
  Data.Buffer = (PCHAR)NameBuffer;
  Data.Length = Data.MaximumLength = (USHORT)((Characters + 1) * sizeof(WCHAR));

  KdpZeroMemory(&FileIo, sizeof(FileIo));
  FileIo.ApiNumber = DbgKdCreateFileApi;
  FileIo.u.CreateFile.DesiredAccess = FILE_GENERIC_READ;
  FileIo.u.CreateFile.FileAttributes = FILE_ATTRIBUTE_NORMAL;
  FileIo.u.CreateFile.ShareAccess = FILE_SHARE_READ;
  FileIo.u.CreateFile.CreateDisposition = FILE_OPEN;
  FileIo.u.CreateFile.CreateOptions = FILE_SYNCHRONOUS_IO_NONALERT;
  Status = KdpFileExchange(&FileIo, &Data, &Length);
  *Handle = FileIo.u.CreateFile.Handle;
  *FileLength = FileIo.u.CreateFile.Length;
  return Status;
}

static NTSTATUS KdpReadRemoteFile(ULONG64 Handle, PUCHAR Buffer, ULONG Length)
{
  ULONG Offset = 0;

  while (Offset < Length) {
    DBGKD_FILE_IO FileIo;
    NTSTATUS Status;
    ULONG Got;

    KdpZeroMemory(&FileIo, sizeof(FileIo));
    FileIo.ApiNumber = DbgKdReadFileApi;
    FileIo.u.ReadFile.Handle = Handle;
    FileIo.u.ReadFile.Offset = Offset;
    FileIo.u.ReadFile.Length = min(Length - Offset, (ULONG)KDP_FILE_CHUNK);
    Status = KdpFileExchange(&FileIo, NULL, &Got);
    if (!NT_SUCCESS(Status)) {
      return Status;
    }
    if (Got == 0 || Got > Length - Offset) {
      return STATUS_UNSUCCESSFUL;
    }
    KdpMoveMemory(Buffer + Offset, KdpMessageBuffer, Got);
    Offset += Got;
  }
  return STATUS_SUCCESS;
}

static VOID KdpCloseRemoteFile(ULONG64 Handle)
{
  DBGKD_FILE_IO FileIo;
  ULONG Length;

  KdpZeroMemory(&FileIo, sizeof(FileIo));
  FileIo.ApiNumber = DbgKdCloseFileApi;
  FileIo.u.CloseFile.Handle = Handle;
  KdpFileExchange(&FileIo, NULL, &Length);
}

/*
 * Asks the debugger for the file Name.  On success Buffer holds *Length bytes of it.
 * STATUS_DEBUGGER_INACTIVE without a debugger, STATUS_NO_SUCH_FILE (or what the debugger said) when it has
 * none, STATUS_BUFFER_TOO_SMALL when it is longer than BufferSize, STATUS_IO_TIMEOUT when it fell silent.
 */
NTSTATUS KdpPullDriver(PUNICODE_STRING Name, PVOID Buffer, ULONG BufferSize, PULONG Length)
{
  ULONG64 Handle, FileLength;
  NTSTATUS Status;
  BOOLEAN Enable;

  *Length = 0;
  if (!KdDebuggerEnabled || KdDebuggerNotPresent || KdpOwnsMachine()) {
    return STATUS_DEBUGGER_INACTIVE;
  }
  Enable = KdEnterDebugger(NULL, NULL);
  Status = KdpOpenRemoteFile(Name, &Handle, &FileLength);
  if (NT_SUCCESS(Status)) {
    if (FileLength > BufferSize) {
      Status = STATUS_BUFFER_TOO_SMALL;
    } else {
      Status = KdpReadRemoteFile(Handle, Buffer, (ULONG)FileLength);
    }
    KdpCloseRemoteFile(Handle);
    if (NT_SUCCESS(Status)) {
      *Length = (ULONG)FileLength;
    }
  }
  KdExitDebugger(Enable);
  return Status;
}
