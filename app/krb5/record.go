package krb5

import (
	"strconv"

	"github.com/dejpha/dejpha/jsonline"
)

// AppendRecord appends the message as Suricata's krb5 record has it.
func (t *tx) AppendRecord(dst []byte) []byte {
	dst = append(dst, `"krb5":{`...)
	dst = jsonline.KeyString(dst, "msg_type", typeName(t.kind))
	if t.hasCode {
		if t.failed != 0 {
			dst = jsonline.KeyString(dst, "failed_request", typeName(t.failed))
		} else {
			dst = jsonline.KeyString(dst, "failed_request", "UNKNOWN")
		}
		dst = append(jsonline.AppendKey(dst, "error_code"), '"')
		if n := errorName(t.code); n != "" {
			dst = append(dst, n...)
		} else {
			dst = append(strconv.AppendInt(append(dst, "ErrorCode("...), int64(t.code), 10), ')')
		}
		dst = append(dst, '"')
	}
	dst = appendName(dst, "cname", t.cname)
	if len(t.realm) > 0 {
		dst = jsonline.KeyString(dst, "realm", t.realm)
	} else {
		dst = jsonline.KeyString(dst, "realm", "<empty>")
	}
	dst = appendName(dst, "sname", t.sname)
	if t.hasEtype {
		dst = appendEtype(dst, "encryption", t.etype)
	} else {
		dst = jsonline.KeyString(dst, "encryption", "<none>")
	}
	dst = jsonline.KeyBool(dst, "weak_encryption", t.hasEtype && weak(t.etype))
	if t.hasTicket {
		dst = appendEtype(dst, "ticket_encryption", t.ticket)
		dst = jsonline.KeyBool(dst, "ticket_weak_encryption", weak(t.ticket))
	}
	return append(dst, '}')
}

func appendName(dst []byte, key string, parts [][]byte) []byte {
	if len(parts) == 0 {
		return jsonline.KeyString(dst, key, "<empty>")
	}
	dst = append(jsonline.AppendKey(dst, key), '"')
	for i, s := range parts {
		if i > 0 {
			dst = append(dst, '/')
		}
		dst = jsonline.AppendEscaped(dst, s)
	}
	return append(dst, '"')
}

func appendEtype(dst []byte, key string, e int32) []byte {
	dst = append(jsonline.AppendKey(dst, key), '"')
	for i := range etypes {
		if etypes[i].number == e {
			return append(append(dst, etypes[i].name...), '"')
		}
	}
	dst = strconv.AppendInt(append(dst, "EncryptionType("...), int64(e), 10)
	return append(dst, ')', '"')
}

// etypeNumber resolves a rule's name of an encryption type.
func etypeNumber(name string) (int32, bool) {
	for i := range etypes {
		if etypes[i].rule == name {
			return etypes[i].number, true
		}
	}
	return 0, false
}

func typeName(k uint8) string {
	switch k {
	case asReq:
		return "KRB_AS_REQ"
	case asRep:
		return "KRB_AS_REP"
	case tgsReq:
		return "KRB_TGS_REQ"
	case tgsRep:
		return "KRB_TGS_REP"
	case apReq:
		return "KRB_AP_REQ"
	case apRep:
		return "KRB_AP_REP"
	case krbError:
		return "KRB_ERROR"
	}
	return "UNKNOWN"
}

// etypes are the registered encryption types: eve's and the rules' names.
var etypes = [...]struct {
	number int32
	name   string
	rule   string
}{
	{1, "DES_CBC_CRC", "des-cbc-crc"},
	{2, "DES_CBC_MD4", "des-cbc-md4"},
	{3, "DES_CBC_MD5", "des-cbc-md5"},
	{5, "DES3_CBC_MD5", "des3-cbc-md5"},
	{7, "DES3_CBC_SHA1", "des3-cbc-sha1"},
	{9, "DSAWITHSHA1_CMSOID", "dsaWithSHA1-CmsOID"},
	{10, "MD5WITHRSAENCRYPTION_CMSOID", "md5WithRSAEncryption-CmsOID"},
	{11, "SHA1WITHRSAENCRYPTION_CMSOID", "sha1WithRSAEncryption-CmsOID"},
	{12, "RC2CBC_ENVOID", "rc2CBC-EnvOID"},
	{13, "RSAENCRYPTION_ENVOID", "rsaEncryption-EnvOID"},
	{14, "RSAES_OAEP_ENV_OID", "rsaES-OAEP-ENV-OID"},
	{15, "DES_EDE3_CBC_ENV_OID", "des-ede3-cbc-Env-OID"},
	{16, "DES3_CBC_SHA1_KD", "des3-cbc-sha1-kd"},
	{17, "AES128_CTS_HMAC_SHA1_96", "aes128-cts-hmac-sha1-96"},
	{18, "AES256_CTS_HMAC_SHA1_96", "aes256-cts-hmac-sha1-96"},
	{19, "AES128_CTS_HMAC_SHA256_128", "aes128-cts-hmac-sha256-128"},
	{20, "AES256_CTS_HMAC_SHA384_192", "aes256-cts-hmac-sha384-192"},
	{23, "RC4_HMAC", "rc4-hmac"},
	{24, "RC4_HMAC_EXP", "rc4-hmac-exp"},
	{25, "CAMELLIA128_CTS_CMAC", "camellia128-cts-cmac"},
	{26, "CAMELLIA256_CTS_CMAC", "camellia256-cts-cmac"},
	{65, "SUBKEY_KEYMATERIAL", "subkey-keymaterial"},
	{-128, "RC4_MD4", "rc4-md4"},
	{-129, "RC4_PLAIN2", "rc4-plain2"},
	{-130, "RC4_LM", "rc4-lm"},
	{-131, "RC4_SHA", "rc4-sha"},
	{-132, "DES_PLAIN", "des-plain"},
	{-133, "RC4_HMAC_OLD", "rc4-hmac-OLD"},
	{-134, "RC4_PLAIN_OLD", "rc4-plain-OLD"},
	{-135, "RC4_HMAC_OLD_EXP", "rc4-hmac-OLD-exp"},
	{-136, "RC4_PLAIN_OLD_EXP", "rc4-plain-OLD-exp"},
	{-140, "RC4_PLAIN", "rc4-plain"},
	{-141, "RC4_PLAIN_EXP", "rc4-plain-exp"},
}

// errorName is the name of an error code (RFC 4120 7.5.9), "" where there is none.
func errorName(c int32) string {
	if c >= 0 && int(c) < len(errorNames) {
		return errorNames[c]
	}
	return ""
}

var errorNames = [...]string{
	0:  "KDC_ERR_NONE",
	1:  "KDC_ERR_NAME_EXP",
	2:  "KDC_ERR_SERVICE_EXP",
	3:  "KDC_ERR_BAD_PVNO",
	4:  "KDC_ERR_C_OLD_MAST_KVNO",
	5:  "KDC_ERR_S_OLD_MAST_KVNO",
	6:  "KDC_ERR_C_PRINCIPAL_UNKNOWN",
	7:  "KDC_ERR_S_PRINCIPAL_UNKNOWN",
	8:  "KDC_ERR_PRINCIPAL_NOT_UNIQUE",
	9:  "KDC_ERR_NULL_KEY",
	10: "KDC_ERR_CANNOT_POSTDATE",
	11: "KDC_ERR_NEVER_VALID",
	12: "KDC_ERR_POLICY",
	13: "KDC_ERR_BADOPTION",
	14: "KDC_ERR_ETYPE_NOSUPP",
	15: "KDC_ERR_SUMTYPE_NOSUPP",
	16: "KDC_ERR_PADATA_TYPE_NOSUPP",
	17: "KDC_ERR_TRTYPE_NOSUPP",
	18: "KDC_ERR_CLIENT_REVOKED",
	19: "KDC_ERR_SERVICE_REVOKED",
	20: "KDC_ERR_TGT_REVOKED",
	21: "KDC_ERR_CLIENT_NOTYET",
	22: "KDC_ERR_SERVICE_NOTYET",
	23: "KDC_ERR_KEY_EXPIRED",
	24: "KDC_ERR_PREAUTH_FAILED",
	25: "KDC_ERR_PREAUTH_REQUIRED",
	26: "KDC_ERR_SERVER_NOMATCH",
	27: "KDC_ERR_MUST_USE_USER2USER",
	28: "KDC_ERR_PATH_NOT_ACCEPTED",
	29: "KDC_ERR_SVC_UNAVAILABLE",
	31: "KRB_AP_ERR_BAD_INTEGRITY",
	32: "KRB_AP_ERR_TKT_EXPIRED",
	33: "KRB_AP_ERR_TKT_NYV",
	34: "KRB_AP_ERR_REPEAT",
	35: "KRB_AP_ERR_NOT_US",
	36: "KRB_AP_ERR_BADMATCH",
	37: "KRB_AP_ERR_SKEW",
	38: "KRB_AP_ERR_BADADDR",
	39: "KRB_AP_ERR_BADVERSION",
	40: "KRB_AP_ERR_MSG_TYPE",
	41: "KRB_AP_ERR_MODIFIED",
	42: "KRB_AP_ERR_BADORDER",
	44: "KRB_AP_ERR_BADKEYVER",
	45: "KRB_AP_ERR_NOKEY",
	46: "KRB_AP_ERR_MUT_FAIL",
	47: "KRB_AP_ERR_BADDIRECTION",
	48: "KRB_AP_ERR_METHOD",
	49: "KRB_AP_ERR_BADSEQ",
	50: "KRB_AP_ERR_INAPP_CKSUM",
	51: "KRB_AP_PATH_NOT_ACCEPTED",
	52: "KRB_ERR_RESPONSE_TOO_BIG",
	60: "KRB_ERR_GENERIC",
	61: "KRB_ERR_FIELD_TOOLONG",
	62: "KDC_ERROR_CLIENT_NOT_TRUSTED",
	63: "KDC_ERROR_KDC_NOT_TRUSTED",
	64: "KDC_ERROR_INVALID_SIG",
	65: "KDC_ERR_KEY_TOO_WEAK",
	66: "KDC_ERR_CERTIFICATE_MISMATCH",
	67: "KRB_AP_ERR_NO_TGT",
	68: "KDC_ERR_WRONG_REALM",
	69: "KRB_AP_ERR_USER_TO_USER_REQUIRED",
	70: "KDC_ERR_CANT_VERIFY_CERTIFICATE",
	71: "KDC_ERR_INVALID_CERTIFICATE",
	72: "KDC_ERR_REVOKED_CERTIFICATE",
	73: "KDC_ERR_REVOCATION_STATUS_UNKNOWN",
	74: "KDC_ERR_REVOCATION_STATUS_UNAVAILABLE",
	75: "KDC_ERR_CLIENT_NAME_MISMATCH",
	76: "KDC_ERR_KDC_NAME_MISMATCH",
}
