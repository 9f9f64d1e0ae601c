/*
 * windows/pipe.c: see pipe.h. The list of who may do what belongs to the pipe, not to one of its instances. Node makes the first
 * one, with the list of the system's default; an instance more, made for a moment, is the handle by which it is replaced.
 *
 *   D:P (D;;FA;;;NETWORK) (A;;FA;;;user) (A;;FA;;;SYSTEM)     P: nothing is inherited; whoever is not in it, is refused
 *
 * NETWORK: whoever has logged on from another machine; left out if we have ourselves (ssh), as we could serve no more.
 * A client that comes in that moment is cut off, and may come again.
 */

#include "../pipe.h"

#include <windows.h>

#define LONGEST_SID 68u /* SECURITY_MAX_SID_SIZE */
#define USER_BYTES (sizeof(TOKEN_USER) + LONGEST_SID)
#define LIST_BYTES (sizeof(ACL) + 3 * (sizeof(ACCESS_ALLOWED_ACE) + LONGEST_SID))
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

static struct failure add_entry(ACL *list, bool allow, DWORD who) {
  SID_IDENTIFIER_AUTHORITY authority = SECURITY_NT_AUTHORITY;
  PSID sid;
  if (!AllocateAndInitializeSid(&authority, 1, who, 0, 0, 0, 0, 0, 0, 0, &sid))
    return system_failure("AllocateAndInitializeSid");
  BOOL is_our_own = FALSE;
  bool is_done = allow ? AddAccessAllowedAce(list, ACL_REVISION, FILE_ALL_ACCESS, sid)
                       : CheckTokenMembership(NULL, sid, &is_our_own) &&
                             (is_our_own || AddAccessDeniedAce(list, ACL_REVISION, FILE_ALL_ACCESS, sid));
  struct failure failure = is_done ? no_failure() : system_failure("AddAccessAce");
  FreeSid(sid);
  return failure;
}

static struct failure make_list(ACL *list, DWORD bytes, PSID user) {
  if (!InitializeAcl(list, bytes, ACL_REVISION)) return system_failure("InitializeAcl");
  struct failure failure = add_entry(list, false, SECURITY_NETWORK_RID);
  if (failed(failure)) return failure;
  if (!AddAccessAllowedAce(list, ACL_REVISION, FILE_ALL_ACCESS, user)) return system_failure("AddAccessAllowedAce");
  return add_entry(list, true, SECURITY_LOCAL_SYSTEM_RID);
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
