/*
 * windows/pipe.c: see pipe.h. The list of who may do what belongs to the pipe, not to one of its instances. Node makes the first
 * one, with the list of the system's default; an instance more, made for a moment, is the handle by which it is replaced.
 *
 *   D:P (A;;FA;;;user) (A;;FA;;;SYSTEM)     P: nothing is inherited; whoever is not in it, is refused
 */

#include "../pipe.h"

#include <windows.h>

#define LONGEST_SID 68u /* SECURITY_MAX_SID_SIZE */
#define USER_BYTES (sizeof(TOKEN_USER) + LONGEST_SID)
#define LIST_BYTES (sizeof(ACL) + 2 * (sizeof(ACCESS_ALLOWED_ACE) + LONGEST_SID))
/* As Node's are, or the system refuses another instance. */
#define TYPE (PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT)
#define BUFFER_BYTES 65536u

static struct failure user_of_process(TOKEN_USER *user, DWORD bytes) {
  HANDLE token;
  if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token)) return system_failure("OpenProcessToken");
  DWORD length;
  BOOL is_known = GetTokenInformation(token, TokenUser, user, bytes, &length);
  struct failure failure = is_known ? no_failure() : system_failure("GetTokenInformation");
  CloseHandle(token);
  return failure;
}

static struct failure make_list(ACL *list, DWORD bytes, PSID user) {
  SID_IDENTIFIER_AUTHORITY authority = SECURITY_NT_AUTHORITY;
  PSID system;
  if (!AllocateAndInitializeSid(&authority, 1, SECURITY_LOCAL_SYSTEM_RID, 0, 0, 0, 0, 0, 0, 0, &system))
    return system_failure("AllocateAndInitializeSid");
  bool is_made = InitializeAcl(list, bytes, ACL_REVISION) &&
                 AddAccessAllowedAce(list, ACL_REVISION, FILE_ALL_ACCESS, user) &&
                 AddAccessAllowedAce(list, ACL_REVISION, FILE_ALL_ACCESS, system);
  struct failure failure = is_made ? no_failure() : system_failure("AddAccessAllowedAce");
  FreeSid(system);
  return failure;
}

static struct failure set_list(const path_char *path, ACL *list) {
  SECURITY_DESCRIPTOR security;
  if (!InitializeSecurityDescriptor(&security, SECURITY_DESCRIPTOR_REVISION) ||
      !SetSecurityDescriptorDacl(&security, TRUE, list, FALSE) ||
      !SetSecurityDescriptorControl(&security, SE_DACL_PROTECTED, SE_DACL_PROTECTED))
    return system_failure("SetSecurityDescriptorDacl");
  HANDLE pipe = CreateNamedPipeW(path, PIPE_ACCESS_DUPLEX | WRITE_DAC | FILE_FLAG_OVERLAPPED, TYPE,
                                 PIPE_UNLIMITED_INSTANCES, BUFFER_BYTES, BUFFER_BYTES, 0, NULL);
  if (pipe == INVALID_HANDLE_VALUE) return system_failure("CreateNamedPipe");
  BOOL is_set = SetKernelObjectSecurity(pipe, DACL_SECURITY_INFORMATION, &security);
  struct failure failure = is_set ? no_failure() : system_failure("SetKernelObjectSecurity");
  CloseHandle(pipe);
  return failure;
}

struct failure pipe_keep_private(const path_char *path) {
  union {
    TOKEN_USER user;
    uint8_t bytes[USER_BYTES];
  } token;
  union {
    ACL list;
    uint8_t bytes[LIST_BYTES];
  } access;
  struct failure failure = user_of_process(&token.user, sizeof token);
  if (!failed(failure)) failure = make_list(&access.list, sizeof access, token.user.User.Sid);
  return failed(failure) ? failure : set_list(path, &access.list);
}
