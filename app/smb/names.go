package smb

import "strconv"

// appendStatus appends the name of an NT status (MS-ERREF 2.3.1), its number where we know none.
func appendStatus(dst []byte, s uint32) []byte {
	if n, ok := statusName(s); ok {
		return append(append(dst, "STATUS_"...), n...)
	}
	return strconv.AppendUint(dst, uint64(s), 10)
}

func statusName(s uint32) (string, bool) {
	low, high := 0, len(statuses)
	for low < high {
		mid := (low + high) / 2
		if statuses[mid].code < s {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < len(statuses) && statuses[low].code == s {
		return statuses[low].name, true
	}
	return "", false
}

// statuses are in rising order.
var statuses = [...]struct {
	code uint32
	name string
}{
	{0, "SUCCESS"},
	{0x102, "TIMEOUT"},
	{0x103, "PENDING"},
	{0x105, "MORE_ENTRIES"},
	{0x106, "NOT_ALL_ASSIGNED"},
	{0x107, "SOME_NOT_MAPPED"},
	{0x10b, "NOTIFY_CLEANUP"},
	{0x10c, "NOTIFY_ENUM_DIR"},
	{0x80000005, "BUFFER_OVERFLOW"},
	{0x80000006, "NO_MORE_FILES"},
	{0x8000001a, "NO_MORE_ENTRIES"},
	{0x8000002d, "STOPPED_ON_SYMLINK"},
	{0xc0000001, "UNSUCCESSFUL"},
	{0xc0000002, "NOT_IMPLEMENTED"},
	{0xc0000003, "INVALID_INFO_CLASS"},
	{0xc0000004, "INFO_LENGTH_MISMATCH"},
	{0xc0000005, "ACCESS_VIOLATION"},
	{0xc0000008, "INVALID_HANDLE"},
	{0xc000000d, "INVALID_PARAMETER"},
	{0xc000000e, "NO_SUCH_DEVICE"},
	{0xc000000f, "NO_SUCH_FILE"},
	{0xc0000010, "INVALID_DEVICE_REQUEST"},
	{0xc0000011, "END_OF_FILE"},
	{0xc0000016, "MORE_PROCESSING_REQUIRED"},
	{0xc0000017, "NO_MEMORY"},
	{0xc0000021, "ALREADY_COMMITTED"},
	{0xc0000022, "ACCESS_DENIED"},
	{0xc0000023, "BUFFER_TOO_SMALL"},
	{0xc0000024, "OBJECT_TYPE_MISMATCH"},
	{0xc0000033, "OBJECT_NAME_INVALID"},
	{0xc0000034, "OBJECT_NAME_NOT_FOUND"},
	{0xc0000035, "OBJECT_NAME_COLLISION"},
	{0xc0000037, "PORT_DISCONNECTED"},
	{0xc0000039, "OBJECT_PATH_INVALID"},
	{0xc000003a, "OBJECT_PATH_NOT_FOUND"},
	{0xc000003b, "OBJECT_PATH_SYNTAX_BAD"},
	{0xc0000043, "SHARING_VIOLATION"},
	{0xc000004f, "EAS_NOT_SUPPORTED"},
	{0xc0000054, "FILE_LOCK_CONFLICT"},
	{0xc0000055, "LOCK_NOT_GRANTED"},
	{0xc0000056, "DELETE_PENDING"},
	{0xc000005e, "NO_LOGON_SERVERS"},
	{0xc000005f, "NO_SUCH_LOGON_SESSION"},
	{0xc0000061, "PRIVILEGE_NOT_HELD"},
	{0xc0000063, "USER_EXISTS"},
	{0xc0000064, "NO_SUCH_USER"},
	{0xc0000069, "SPECIAL_ACCOUNT"},
	{0xc000006a, "WRONG_PASSWORD"},
	{0xc000006c, "PASSWORD_RESTRICTION"},
	{0xc000006d, "LOGON_FAILURE"},
	{0xc000006e, "ACCOUNT_RESTRICTION"},
	{0xc000006f, "INVALID_LOGON_HOURS"},
	{0xc0000070, "INVALID_WORKSTATION"},
	{0xc0000071, "PASSWORD_EXPIRED"},
	{0xc0000072, "ACCOUNT_DISABLED"},
	{0xc000007e, "RANGE_NOT_LOCKED"},
	{0xc000007f, "DISK_FULL"},
	{0xc000009a, "INSUFFICIENT_RESOURCES"},
	{0xc00000a5, "BAD_IMPERSONATION_LEVEL"},
	{0xc00000ac, "PIPE_NOT_AVAILABLE"},
	{0xc00000ae, "PIPE_BUSY"},
	{0xc00000af, "ILLEGAL_FUNCTION"},
	{0xc00000b0, "PIPE_DISCONNECTED"},
	{0xc00000b1, "PIPE_CLOSING"},
	{0xc00000b4, "INVALID_READ_MODE"},
	{0xc00000b5, "IO_TIMEOUT"},
	{0xc00000ba, "FILE_IS_A_DIRECTORY"},
	{0xc00000bb, "NOT_SUPPORTED"},
	{0xc00000c3, "INVALID_NETWORK_RESPONSE"},
	{0xc00000c9, "NETWORK_NAME_DELETED"},
	{0xc00000ca, "NETWORK_ACCESS_DENIED"},
	{0xc00000cb, "BAD_DEVICE_TYPE"},
	{0xc00000cc, "BAD_NETWORK_NAME"},
	{0xc00000ce, "TOO_MANY_SESSIONS"},
	{0xc00000d0, "REQUEST_NOT_ACCEPTED"},
	{0xc0000101, "DIRECTORY_NOT_EMPTY"},
	{0xc0000103, "NOT_A_DIRECTORY"},
	{0xc0000120, "CANCELLED"},
	{0xc0000121, "CANNOT_DELETE"},
	{0xc0000123, "FILE_DELETED"},
	{0xc0000128, "FILE_CLOSED"},
	{0xc0000133, "TIME_DIFFERENCE_AT_DC"},
	{0xc000015b, "LOGON_TYPE_NOT_GRANTED"},
	{0xc000018c, "TRUSTED_DOMAIN_FAILURE"},
	{0xc0000192, "NETLOGON_NOT_STARTED"},
	{0xc0000193, "ACCOUNT_EXPIRED"},
	{0xc0000199, "NOLOGON_WORKSTATION_TRUST_ACCOUNT"},
	{0xc000019c, "FS_DRIVER_REQUIRED"},
	{0xc0000203, "USER_SESSION_DELETED"},
	{0xc0000205, "INSUFF_SERVER_RESOURCES"},
	{0xc000020c, "CONNECTION_DISCONNECTED"},
	{0xc0000224, "PASSWORD_MUST_CHANGE"},
	{0xc0000225, "NOT_FOUND"},
	{0xc0000234, "ACCOUNT_LOCKED_OUT"},
	{0xc0000235, "HANDLE_NOT_CLOSABLE"},
	{0xc0000257, "PATH_NOT_COVERED"},
	{0xc0000275, "NOT_A_REPARSE_POINT"},
	{0xc000035c, "NETWORK_SESSION_EXPIRED"},
	{0xc000040c, "DOWNGRADE_DETECTED"},
	{0xc0000418, "NTLM_BLOCKED"},
	{0xc0000719, "CONTENT_BLOCKED"},
}

// commands2 are eve's names of SMB2 commands, after "SMB2_COMMAND_".
var commands2 = [...]string{
	"NEGOTIATE_PROTOCOL",
	"SESSION_SETUP",
	"SESSION_LOGOFF",
	"TREE_CONNECT",
	"TREE_DISCONNECT",
	"CREATE",
	"CLOSE",
	"FLUSH",
	"READ",
	"WRITE",
	"LOCK",
	"IOCTL",
	"CANCEL",
	"KEEPALIVE",
	"FIND",
	"CHANGE_NOTIFY",
	"GET_INFO",
	"SET_INFO",
	"OPLOCK_BREAK",
}

// commandName1 is eve's name of an SMB1 command, after "SMB1_COMMAND_".
func commandName1(c uint16) string {
	switch c {
	case 0x00:
		return "CREATE_DIRECTORY"
	case 0x01:
		return "DELETE_DIRECTORY"
	case 0x02:
		return "OPEN"
	case 0x03:
		return "CREATE"
	case 0x04:
		return "CLOSE"
	case 0x05:
		return "FLUSH"
	case 0x06:
		return "DELETE"
	case 0x07:
		return "RENAME"
	case 0x08:
		return "QUERY_INFORMATION"
	case 0x09:
		return "SET_INFORMATION"
	case 0x0a:
		return "READ"
	case 0x0b:
		return "WRITE"
	case 0x0c:
		return "LOCK_BYTE_RANGE"
	case 0x0d:
		return "UNLOCK_BYTE_RANGE"
	case 0x0e:
		return "CREATE_TEMPORARY"
	case 0x0f:
		return "CREATE_NEW"
	case 0x10:
		return "CHECK_DIRECTORY"
	case 0x11:
		return "PROCESS_EXIT"
	case 0x12:
		return "SEEK"
	case 0x13:
		return "LOCK_AND_READ"
	case 0x14:
		return "WRITE_AND_UNLOCK"
	case 0x1a:
		return "READ_RAW"
	case 0x1b:
		return "READ_MPX"
	case 0x1c:
		return "READ_MPX_SECONDARY"
	case 0x1d:
		return "WRITE_RAW"
	case 0x1e:
		return "WRITE_MPX"
	case 0x1f:
		return "WRITE_MPX_SECONDARY"
	case 0x20:
		return "WRITE_COMPLETE"
	case 0x21:
		return "QUERY_SERVER"
	case 0x22:
		return "SET_INFORMATION2"
	case 0x23:
		return "QUERY_INFORMATION2"
	case 0x24:
		return "LOCKING_ANDX"
	case 0x25:
		return "TRANS"
	case 0x26:
		return "TRANS_SECONDARY"
	case 0x27:
		return "IOCTL"
	case 0x28:
		return "IOCTL_SECONDARY"
	case 0x29:
		return "COPY"
	case 0x2a:
		return "MOVE"
	case 0x2b:
		return "ECHO"
	case 0x2c:
		return "WRITE_AND_CLOSE"
	case 0x2d:
		return "OPEN_ANDX"
	case 0x2e:
		return "READ_ANDX"
	case 0x2f:
		return "WRITE_ANDX"
	case 0x30:
		return "NEW_FILE_SIZE"
	case 0x31:
		return "CLOSE_AND_TREE_DISC"
	case 0x32:
		return "TRANS2"
	case 0x33:
		return "TRANS2_SECONDARY"
	case 0x34:
		return "FIND_CLOSE2"
	case 0x35:
		return "FIND_NOTIFY_CLOSE"
	case 0x70:
		return "TREE_CONNECT"
	case 0x71:
		return "TREE_DISCONNECT"
	case 0x72:
		return "NEGOTIATE_PROTOCOL"
	case 0x73:
		return "SESSION_SETUP_ANDX"
	case 0x74:
		return "LOGOFF_ANDX"
	case 0x75:
		return "TREE_CONNECT_ANDX"
	case 0x7e:
		return "SECURITY_PACKAGE_ANDX"
	case 0x80:
		return "QUERY_INFORMATION_DISK"
	case 0x81:
		return "SEARCH"
	case 0x82:
		return "FIND"
	case 0x83:
		return "FIND_UNIQUE"
	case 0x84:
		return "FIND_CLOSE"
	case 0xa0:
		return "NT_TRANS"
	case 0xa1:
		return "NT_TRANS_SECONDARY"
	case 0xa2:
		return "NT_CREATE_ANDX"
	case 0xa4:
		return "NT_CANCEL"
	case 0xa5:
		return "NT_RENAME"
	case 0xc0:
		return "OPEN_PRINT_FILE"
	case 0xc1:
		return "WRITE_PRINT_FILE"
	case 0xc2:
		return "CLOSE_PRINT_FILE"
	case 0xc3:
		return "GET_PRINT_QUEUE"
	}
	return ""
}

// dosName is the name of an error of the DOS or server class (MS-CIFS 2.2.2.4), "" where we know none.
func dosName(class, code uint16) string {
	type key struct{ class, code uint16 }
	switch (key{class, code}) {
	case key{1, 1}:
		return "DOS_BADFUNC"
	case key{1, 2}:
		return "DOS_BADFILE"
	case key{1, 3}:
		return "DOS_BADPATH"
	case key{1, 4}:
		return "DOS_NOFIDS"
	case key{1, 5}:
		return "DOS_NOACCESS"
	case key{1, 6}:
		return "DOS_BADFID"
	case key{1, 7}:
		return "DOS_BADMCB"
	case key{1, 8}:
		return "DOS_NOMEM"
	case key{1, 9}:
		return "DOS_BADMEM"
	case key{1, 12}:
		return "DOS_BADACCESS"
	case key{1, 13}:
		return "DOS_BADDATA"
	case key{1, 15}:
		return "DOS_BADDRIVE"
	case key{1, 16}:
		return "DOS_REMCD"
	case key{1, 17}:
		return "DOS_DIFFDEVICE"
	case key{1, 18}:
		return "DOS_NOFILES"
	case key{1, 31}:
		return "DOS_GENERAL"
	case key{1, 32}:
		return "DOS_BADSHARE"
	case key{1, 33}:
		return "DOS_LOCK"
	case key{1, 50}:
		return "DOS_UNSUP"
	case key{1, 80}:
		return "DOS_FILEXISTS"
	case key{1, 87}:
		return "DOS_INVALID_PARAMETER"
	case key{1, 110}:
		return "DOS_CANNOTOPEN"
	case key{1, 123}:
		return "DOS_INVALIDNAME"
	case key{1, 124}:
		return "DOS_UNKNOWNLEVEL"
	case key{1, 158}:
		return "DOS_NOTLOCKED"
	case key{1, 183}:
		return "DOS_RENAME"
	case key{1, 230}:
		return "DOS_BADPIPE"
	case key{1, 231}:
		return "DOS_PIPEBUSY"
	case key{1, 232}:
		return "DOS_PIPECLOSING"
	case key{1, 233}:
		return "DOS_NOTCONNECTED"
	case key{1, 234}:
		return "DOS_MOREDATA"
	case key{2, 1}:
		return "SRV_ERROR"
	case key{2, 2}:
		return "SRV_BADPW"
	case key{2, 4}:
		return "SRV_ACCESS"
	case key{2, 5}:
		return "SRV_BADTID"
	case key{2, 6}:
		return "SRV_BADNETNAME"
	case key{2, 7}:
		return "SRV_BADDEVICE"
	case key{2, 49}:
		return "SRV_QFULL"
	case key{2, 50}:
		return "SRV_QTOOBIG"
	case key{2, 51}:
		return "SRV_QEOF"
	case key{2, 52}:
		return "SRV_INVPFID"
	case key{2, 64}:
		return "SRV_SMBCMD"
	case key{2, 65}:
		return "SRV_SRVERROR"
	case key{2, 67}:
		return "SRV_FILESPECS"
	case key{2, 69}:
		return "SRV_BADPERMITS"
	case key{2, 71}:
		return "SRV_SETATTRMODE"
	case key{2, 81}:
		return "SRV_PAUSED"
	case key{2, 82}:
		return "SRV_MSGOFF"
	case key{2, 83}:
		return "SRV_NOROOM"
	case key{2, 87}:
		return "SRV_RMUNS"
	case key{2, 88}:
		return "SRV_TIMEOUT"
	case key{2, 89}:
		return "SRV_NORESOURCE"
	case key{2, 90}:
		return "SRV_TOOMANYUIDS"
	case key{2, 91}:
		return "SRV_BADUID"
	case key{2, 251}:
		return "SRV_USESTD"
	case key{2, 252}:
		return "SRV_BADPW"
	}
	return ""
}
