package graphql

import (
	"encoding/json"
	"math"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// A leaf is a scalar or an enum: what turns its values into the answer's, and
// arguments into what resolvers get.
type leaf struct {
	name   string
	values []string // of an enum
	// out returns what stands in an answer for v, which is not null; in returns
	// what a resolver gets. False means that v is no such value.
	out, in func(v *Value) (Value, bool)
}

func newLeaf(def *ast.Definition) *leaf {
	l := &leaf{name: def.Name, out: pass, in: pass}
	if def.Kind == ast.Enum {
		for _, e := range def.EnumValues {
			l.values = append(l.values, e.Name)
		}
		l.out = l.enum
		l.in = l.enum
		return l
	}
	switch def.Name {
	case "String":
		l.out, l.in = toString, isString
	case "ID":
		l.out, l.in = toID, toID
	case "Int":
		l.out, l.in = toInt, isInt
	case "Float":
		l.out, l.in = toFloat, isFloat
	case "Boolean":
		l.out, l.in = toBool, isBool
	case "AWSJSON":
		l.out, l.in = toJSON, fromJSON
	case "AWSTimestamp":
		l.out, l.in = isTimestamp, isTimestamp
	default:
		if valid := awsFormats()[def.Name]; valid != nil {
			l.out = func(v *Value) (Value, bool) { return *v, v.kind == KindString && valid(v.text) }
			l.in = l.out
		}
	}
	return l
}

func pass(v *Value) (Value, bool) { return *v, true }

func (l *leaf) enum(v *Value) (Value, bool) {
	return *v, v.kind == KindString && slices.Contains(l.values, v.text)
}

func isString(v *Value) (Value, bool) { return *v, v.kind == KindString }
func isBool(v *Value) (Value, bool)   { return *v, v.kind == KindBool }

func toString(v *Value) (Value, bool) {
	switch v.kind {
	case KindString:
		return *v, true
	case KindBool:
		return String(v.text), true
	case KindNumber:
		return String(numberText(v.text)), true
	}
	return Value{}, false
}

func toID(v *Value) (Value, bool) {
	if v.kind == KindString {
		return *v, true
	}
	if f, ok := v.number(); ok && f == math.Trunc(f) {
		return String(numberText(v.text)), true
	}
	return Value{}, false
}

func isInt(v *Value) (Value, bool) {
	n, ok := v.Int()
	return *v, ok && n >= math.MinInt32 && n <= math.MaxInt32
}

func toInt(v *Value) (Value, bool) {
	n := asNumber(v)
	i, ok := n.Int()
	return Int(i), ok && i >= math.MinInt32 && i <= math.MaxInt32
}

func isFloat(v *Value) (Value, bool) {
	_, ok := v.number()
	return *v, ok
}

func toFloat(v *Value) (Value, bool) {
	n := asNumber(v)
	f, ok := n.number()
	if !ok || math.IsInf(f, 0) || math.IsNaN(f) {
		return Value{}, false
	}
	n.text = numberText(n.text)
	return n, true
}

// asNumber takes numbers out of strings and booleans, as graphql-js does with
// what resolvers return.
func asNumber(v *Value) Value {
	switch v.kind {
	case KindBool:
		if v.text == "true" {
			return Int(1)
		}
		return Int(0)
	case KindString:
		if json.Valid([]byte(v.text)) {
			if n, err := ParseJSON([]byte(v.text)); err == nil && n.kind == KindNumber {
				return n
			}
		}
		return Value{}
	}
	return *v
}

func toBool(v *Value) (Value, bool) {
	if f, ok := v.number(); ok {
		return Bool(f != 0), true
	}
	return *v, v.kind == KindBool
}

// toJSON writes JSON into a string, unless it is in one already.
func toJSON(v *Value) (Value, bool) {
	if v.kind == KindString && json.Valid([]byte(v.text)) {
		return *v, true
	}
	return String(v.String()), true
}

// fromJSON gives resolvers what the string says, as AppSync does.
func fromJSON(v *Value) (Value, bool) {
	if v.kind != KindString {
		return Value{}, false
	}
	parsed, err := ParseJSON([]byte(v.text))
	return parsed, err == nil
}

func isTimestamp(v *Value) (Value, bool) {
	_, ok := v.Int()
	return *v, ok
}

var (
	offsetPattern   = `(?:Z|[+-]\d{2}:\d{2}(?::\d{2})?)`
	timePattern     = `([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?`
	datePattern     = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})` + offsetPattern + `?$`)
	timeOnly        = regexp.MustCompile(`^` + timePattern + offsetPattern + `?$`)
	dateTimePattern = regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})T` + timePattern + offsetPattern + `$`)
	phonePattern    = regexp.MustCompile(`^\+?[0-9(][0-9 ().-]{2,30}$`)
)

// awsFormats say which strings AWS's scalars take.
func awsFormats() map[string]func(string) bool {
	return map[string]func(string) bool{
		"AWSDate":      func(s string) bool { return isDate(datePattern, s) },
		"AWSDateTime":  func(s string) bool { return isDate(dateTimePattern, s) },
		"AWSTime":      timeOnly.MatchString,
		"AWSEmail":     isEmail,
		"AWSURL":       isURL,
		"AWSPhone":     isPhone,
		"AWSIPAddress": isIPAddress,
	}
}

func isDate(pattern *regexp.Regexp, s string) bool {
	m := pattern.FindStringSubmatch(s)
	if m == nil {
		return false
	}
	_, err := time.Parse(time.DateOnly, m[1])
	return err == nil
}

func isEmail(s string) bool {
	a, err := mail.ParseAddress(s)
	return err == nil && a.Address == s
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Scheme != "" && (u.Host != "" || u.Opaque != "") && !strings.Contains(u.Path, "//")
}

func isPhone(s string) bool {
	digits := 0
	for _, c := range s {
		if c >= '0' && c <= '9' {
			digits++
		}
	}
	return phonePattern.MatchString(s) && digits >= 3 && digits <= 15
}

func isIPAddress(s string) bool {
	addr, bits, block := strings.Cut(s, "/")
	ip, err := netip.ParseAddr(addr)
	if err != nil || ip.Zone() != "" {
		return false
	}
	if !block {
		return true
	}
	n, err := strconv.Atoi(bits)
	return err == nil && n >= 0 && n <= ip.BitLen() && strconv.Itoa(n) == bits
}
