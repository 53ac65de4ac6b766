package ldap

import (
	"strconv"

	"github.com/dejpha/dejpha/app/der"
	"github.com/dejpha/dejpha/jsonline"
)

// AppendRecord appends the transaction as Suricata's ldap record has it.
func (t *tx) AppendRecord(dst []byte) []byte {
	dst = append(dst, `"ldap":{`...)
	if t.hasReq {
		dst = append(jsonline.AppendKey(dst, "request"), '{')
		dst = jsonline.KeyUint(dst, "message_id", uint64(t.id))
		dst = appendOperation(dst, t.op)
		dst = t.appendRequest(dst)
		dst = append(appendControls(dst, t.req), '}')
	}
	if len(t.responses) > 0 {
		dst = append(jsonline.AppendKey(dst, "responses"), '[')
		for i := range t.responses {
			r := &t.responses[i]
			dst = append(jsonline.AppendComma(dst), '{')
			dst = appendOperation(dst, r.op)
			if !t.hasReq {
				dst = jsonline.KeyUint(dst, "message_id", uint64(r.id))
			}
			dst = appendResponse(dst, r.op, t.of(i))
			dst = append(appendControls(dst, t.kept[r.from:r.to]), '}')
		}
		dst = append(dst, ']')
	}
	return append(dst, '}')
}

func appendOperation(dst []byte, op uint8) []byte {
	name := "unknown"
	if int(op) < len(operations) && operations[op] != "" {
		name = operations[op]
	}
	return jsonline.KeyString(dst, "operation", name)
}

func open(dst []byte, key string) []byte { return append(jsonline.AppendKey(dst, key), '{') }

func (t *tx) appendRequest(dst []byte) []byte {
	b := t.body()
	switch t.op {
	case opBind:
		dst = open(dst, "bind_request")
		dst = jsonline.KeyUint(dst, "version", uint64(der.Int(part(b, 0))))
		dst = jsonline.KeyString(dst, "name", part(b, 1))
		if sasl := field(b, 0xa3); sasl != nil {
			dst = jsonline.KeyString(open(dst, "sasl"), "mechanism", part(sasl, 0))
			if c := part(sasl, 1); c != nil {
				dst = jsonline.AppendHex(jsonline.AppendKey(dst, "credentials"), c)
			}
			dst = append(dst, '}')
		}
	case opSearch:
		return appendSearch(dst, b)
	case opModify:
		dst = appendModify(jsonline.KeyString(open(dst, "modify_request"), "object", part(b, 0)), part(b, 1))
	case opAdd:
		dst = jsonline.KeyString(open(dst, "add_request"), "entry", part(b, 0))
		dst = appendAttributes(dst, part(b, 1), "name")
	case opDel:
		dst = jsonline.KeyString(open(dst, "del_request"), "dn", b)
	case opModDN:
		dst = jsonline.KeyString(open(dst, "mod_dn_request"), "entry", part(b, 0))
		dst = jsonline.KeyString(dst, "new_rdn", part(b, 1))
		dst = jsonline.KeyBool(dst, "delete_old_rdn", der.Int(part(b, 2)) != 0)
		if s := field(b, 0x80); s != nil {
			dst = jsonline.KeyString(dst, "new_superior", s)
		}
	case opCompare:
		dst = jsonline.KeyString(open(dst, "compare_request"), "entry", part(b, 0))
		dst = jsonline.KeyString(open(dst, "attribute_value_assertion"), "description", part(part(b, 1), 0))
		dst = append(jsonline.KeyString(dst, "value", part(part(b, 1), 1)), '}')
	case opExtended:
		dst = jsonline.KeyString(open(dst, "extended_request"), "name", field(b, 0x80))
		if v := field(b, 0x81); v != nil {
			dst = jsonline.KeyString(dst, "value", v)
		}
	default:
		return dst
	}
	return append(dst, '}')
}

func appendSearch(dst, b []byte) []byte {
	dst = jsonline.KeyString(open(dst, "search_request"), "base_object", part(b, 0))
	for i, name := range [...]string{"scope", "deref_alias", "size_limit", "time_limit"} {
		dst = jsonline.KeyUint(dst, name, uint64(uint32(der.Int(part(b, 1+i)))))
	}
	dst = jsonline.KeyBool(dst, "types_only", der.Int(part(b, 5)) != 0)
	const present = 0x87
	if tag, v := element(b, 6); tag == present {
		dst = jsonline.KeyString(open(dst, "filter"), "type", "present")
		dst = append(jsonline.KeyString(dst, "value", v), '}')
	}
	return append(appendList(dst, "attributes", part(b, 7)), '}')
}

// appendList appends an array of strings; nothing if there are none.
func appendList(dst []byte, key string, b []byte) []byte {
	for i := range listMax {
		_, v, rest, ok := der.Next(b)
		if !ok {
			if i == 0 {
				return dst
			}
			break
		}
		if i == 0 {
			dst = append(jsonline.AppendKey(dst, key), '[')
		}
		dst = jsonline.AppendString(jsonline.AppendComma(dst), v)
		b = rest
	}
	return append(dst, ']')
}

// appendAttributes appends attributes with their values, each attribute's name under key.
func appendAttributes(dst, b []byte, key string) []byte {
	if len(b) == 0 {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, "attributes"), '[')
	for range listMax {
		_, a, rest, ok := der.Next(b)
		if !ok {
			break
		}
		dst = append(jsonline.AppendComma(dst), '{')
		dst = jsonline.KeyString(dst, key, part(a, 0))
		dst = append(appendList(dst, "values", part(a, 1)), '}')
		b = rest
	}
	return append(dst, ']')
}

func appendModify(dst, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, "changes"), '[')
	for range listMax {
		_, c, rest, ok := der.Next(b)
		if !ok {
			break
		}
		dst = append(jsonline.AppendComma(dst), '{')
		dst = append(jsonline.AppendKey(dst, "operation"), '"')
		switch n := der.Int(part(c, 0)); n {
		case 0:
			dst = append(dst, "add"...)
		case 1:
			dst = append(dst, "delete"...)
		case 2:
			dst = append(dst, "replace"...)
		default:
			dst = strconv.AppendInt(dst, n, 10)
		}
		dst = append(dst, '"')
		dst = jsonline.KeyString(open(dst, "modification"), "attribute_type", part(part(c, 1), 0))
		dst = append(appendList(dst, "attribute_values", part(part(c, 1), 1)), '}', '}')
		b = rest
	}
	return append(dst, ']')
}

func appendResponse(dst []byte, op uint8, b []byte) []byte {
	switch op {
	case opEntry:
		dst = jsonline.KeyString(open(dst, operations[op]), "base_object", part(b, 0))
		dst = appendAttributes(dst, part(b, 1), "type")
	case opIntermediate:
		dst = open(dst, operations[op])
		dst = appendExtension(dst, field(b, 0x80), field(b, 0x81))
	default:
		if !isResult(op) {
			return dst
		}
		dst = appendResult(open(dst, operations[op]), b)
		if c := field(b, 0x87); c != nil && op == opBindRes {
			dst = jsonline.AppendHex(jsonline.AppendKey(dst, "server_sasl_creds"), c)
		}
		if op == opExtendedRes {
			dst = appendExtension(dst, field(b, 0x8a), field(b, 0x8b))
		}
	}
	return append(dst, '}')
}

func appendExtension(dst, name, value []byte) []byte {
	if name != nil {
		dst = jsonline.KeyString(dst, "name", name)
	}
	if value != nil {
		dst = jsonline.KeyString(dst, "value", value)
	}
	return dst
}

func appendResult(dst, b []byte) []byte {
	dst = append(jsonline.AppendKey(dst, "result_code"), '"')
	code := uint32(der.Int(part(b, 0)))
	name := ""
	for i := range results {
		if results[i].code == code {
			name = results[i].name
		}
	}
	if name != "" {
		dst = append(dst, name...)
	} else {
		dst = strconv.AppendUint(dst, uint64(code), 10)
	}
	dst = append(dst, '"')
	dst = jsonline.KeyString(dst, "matched_dn", part(b, 1))
	return jsonline.KeyString(dst, "message", part(b, 2))
}

// appendControls appends the controls behind the operation at the front of b.
func appendControls(dst, b []byte) []byte {
	_, _, b, _ = der.Next(b)
	b = field(b, 0xa0)
	if len(b) == 0 {
		return dst
	}
	dst = append(jsonline.AppendKey(dst, "controls"), '[')
	for range listMax {
		_, c, rest, ok := der.Next(b)
		if !ok {
			break
		}
		const boolean, octets = 1, 4
		dst = append(jsonline.AppendComma(dst), '{')
		dst = jsonline.KeyString(dst, "control_type", part(c, 0))
		dst = jsonline.KeyBool(dst, "criticality", der.Int(field(c, boolean)) != 0)
		_, _, after, _ := der.Next(c)
		if v := field(after, octets); v != nil {
			dst = jsonline.AppendHex(jsonline.AppendKey(dst, "control_value"), v)
		}
		dst = append(dst, '}')
		b = rest
	}
	return append(dst, ']')
}

// results are the result codes' names as rules and eve have them (RFC 4511 4.1.9 and its registry).
var results = [...]struct {
	code uint32
	name string
}{
	{0, "success"},
	{1, "operations_error"},
	{2, "protocol_error"},
	{3, "time_limit_exceeded"},
	{4, "size_limit_exceeded"},
	{5, "compare_false"},
	{6, "compare_true"},
	{7, "auth_method_not_supported"},
	{8, "stronger_auth_required"},
	{10, "referral"},
	{11, "admin_limit_exceeded"},
	{12, "unavailable_critical_extension"},
	{13, "confidentiality_required"},
	{14, "sasl_bind_in_progress"},
	{16, "no_such_attribute"},
	{17, "undefined_attribute_type"},
	{18, "inappropriate_matching"},
	{19, "constraint_violation"},
	{20, "attribute_or_value_exists"},
	{21, "invalid_attribute_syntax"},
	{32, "no_such_object"},
	{33, "alias_problem"},
	{34, "invalid_dns_syntax"},
	{35, "is_leaf"},
	{36, "alias_dereferencing_problem"},
	{48, "inappropriate_authentication"},
	{49, "invalid_credentials"},
	{50, "insufficient_access_rights"},
	{51, "busy"},
	{52, "unavailable"},
	{53, "unwilling_to_perform"},
	{54, "loop_detect"},
	{60, "sort_control_missing"},
	{61, "offset_range_error"},
	{64, "naming_violation"},
	{65, "object_class_violation"},
	{66, "not_allowed_on_non_leaf"},
	{67, "not_allowed_on_rdn"},
	{68, "entry_already_exists"},
	{69, "object_class_mods_prohibited"},
	{70, "results_too_large"},
	{71, "affects_multiple_dsas"},
	{76, "control_error"},
	{80, "other"},
	{81, "server_down"},
	{82, "local_error"},
	{83, "encoding_error"},
	{84, "decoding_error"},
	{85, "timeout"},
	{86, "auth_unknown"},
	{87, "filter_error"},
	{88, "user_canceled"},
	{89, "param_error"},
	{90, "no_memory"},
	{91, "connect_error"},
	{92, "not_supported"},
	{93, "control_not_found"},
	{94, "no_results_returned"},
	{95, "more_results_to_return"},
	{96, "client_loop"},
	{97, "referral_limit_exceeded"},
	{100, "invalid_response"},
	{101, "ambiguous_response"},
	{112, "tls_not_supported"},
	{113, "intermediate_response"},
	{114, "unknown_type"},
	{118, "canceled"},
	{119, "no_such_operation"},
	{120, "too_late"},
	{121, "cannot_cancel"},
	{122, "assertion_failed"},
	{123, "authorization_denied"},
	{4096, "e_sync_refresh_required"},
	{16654, "no_operation"},
}
