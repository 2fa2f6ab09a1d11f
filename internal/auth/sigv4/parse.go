package sigv4

import (
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	algorithm    = "AWS4-HMAC-SHA256"
	schemePrefix = "AWS4-"
	terminator   = "aws4_request"
	timeFormat   = "20060102T150405Z"

	paramAlgorithm  = "X-Amz-Algorithm"
	paramCredential = "X-Amz-Credential"
	paramDate       = "X-Amz-Date"
	paramExpires    = "X-Amz-Expires"
	paramHeaders    = "X-Amz-SignedHeaders"
	paramSignature  = "X-Amz-Signature"
	paramToken      = "X-Amz-Security-Token"

	// maxPresigned is the longest life of a presigned URL, as with AWS.
	maxPresigned = 7 * 24 * time.Hour
	// maxSignedHeaders bounds the work for a signature that is not good.
	maxSignedHeaders = 128
)

// A claim is what a request says of its signature.
type claim struct {
	accessKey, date, region, service string

	stamp     string // when it was signed, in timeFormat
	at        time.Time
	expires   time.Duration // how long a presigned URL is good for; 0 in a header
	headers   []string      // the signed headers, lower case, as listed
	signature string        // 64 hexadecimal digits
	token     string
	query     []pair
}

// parse reads the claim from the Authorization header or from the query.
func parse(r Request) (*claim, error) {
	_, rawQuery, _ := strings.Cut(r.Target, "?")
	query, ok := parseQuery(rawQuery)
	if !ok {
		return nil, refuse(Incomplete, "The query string cannot be read.")
	}
	authorization, ok := r.one("Authorization")
	if !ok {
		return nil, refuse(Incomplete, "There is more than one Authorization header.")
	}
	presigned := slices.ContainsFunc(query, func(p pair) bool { return p.key == paramSignature || p.key == paramAlgorithm })
	signed := strings.HasPrefix(authorization, schemePrefix)
	switch {
	case presigned && signed:
		return nil, refuse(Incomplete, "There is a signature in the query string and another in the Authorization header.")
	case presigned:
		return parsePresigned(query)
	case signed:
		return parseHeader(r, authorization, query)
	}
	return nil, refuse(MissingToken, "Missing Authentication Token")
}

func parseHeader(r Request, authorization string, query []pair) (*claim, error) {
	credential, headers, signature, err := parseAuthorization(authorization)
	if err != nil {
		return nil, err
	}
	c := &claim{query: query}
	var ok bool
	if c.stamp, ok = r.one(paramDate); !ok || c.stamp == "" {
		return nil, refuse(Incomplete, "Authorization header requires existence of exactly one 'X-Amz-Date' header.")
	}
	if c.token, ok = r.one(paramToken); !ok {
		return nil, refuse(Incomplete, "There is more than one X-Amz-Security-Token header.")
	}
	return c, c.fill(credential, headers, signature)
}

// parseAuthorization splits the header into its three parameters, which may be
// in any order, each once.
func parseAuthorization(s string) (credential, headers, signature string, err error) {
	name, rest, _ := strings.Cut(s, " ")
	if name != algorithm {
		return "", "", "", refuse(Incomplete, "Unsupported AWS 'algorithm'; use '%s'.", algorithm)
	}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.Trim(part, " \t"), "=")
		var field *string
		switch name {
		case "Credential":
			field = &credential
		case "SignedHeaders":
			field = &headers
		case "Signature":
			field = &signature
		}
		if field == nil || *field != "" {
			return "", "", "", refuse(Incomplete, "Authorization header has an unknown or repeated parameter.")
		}
		*field = value
	}
	return credential, headers, signature, requireAll("Authorization header requires '%s' parameter.",
		"Credential", credential, "SignedHeaders", headers, "Signature", signature)
}

func parsePresigned(query []pair) (*claim, error) {
	params := map[string]string{
		paramAlgorithm: "", paramCredential: "", paramDate: "", paramExpires: "", paramHeaders: "", paramSignature: "", paramToken: "",
	}
	seen := make(map[string]bool, len(params))
	for _, p := range query {
		if _, ours := params[p.key]; !ours {
			continue
		}
		if seen[p.key] {
			return nil, refuse(Incomplete, "'%s' is there more than once.", p.key)
		}
		seen[p.key], params[p.key] = true, p.value
	}
	if params[paramAlgorithm] != algorithm {
		return nil, refuse(Incomplete, "Unsupported AWS 'algorithm'; use '%s'.", algorithm)
	}
	err := requireAll("AWS query-string parameters must include '%s'.",
		paramCredential, params[paramCredential], paramDate, params[paramDate], paramExpires, params[paramExpires],
		paramHeaders, params[paramHeaders], paramSignature, params[paramSignature])
	if err != nil {
		return nil, err
	}
	seconds, err := strconv.ParseUint(params[paramExpires], 10, 32)
	if expires := time.Duration(seconds) * time.Second; err != nil || expires == 0 || expires > maxPresigned {
		return nil, refuse(Incomplete, "X-Amz-Expires must be 1 to %d seconds.", int(maxPresigned.Seconds()))
	}
	c := &claim{query: query, stamp: params[paramDate], expires: time.Duration(seconds) * time.Second, token: params[paramToken]}
	return c, c.fill(params[paramCredential], params[paramHeaders], params[paramSignature])
}

// requireAll takes names and values by turns, and refuses an empty value.
func requireAll(format string, fields ...string) error {
	for i := 0; i < len(fields); i += 2 {
		if fields[i+1] == "" {
			return refuse(Incomplete, format, fields[i])
		}
	}
	return nil
}

// fill reads what both forms have in common.
func (c *claim) fill(credential, headers, signature string) error {
	scope := strings.Split(credential, "/")
	if len(scope) != 5 || slices.Contains(scope, "") || scope[4] != terminator {
		return refuse(Incomplete, "Credential must be of the form AccessKeyId/YYYYMMDD/region/service/%s.", terminator)
	}
	c.accessKey, c.date, c.region, c.service = scope[0], scope[1], scope[2], scope[3]

	var err error
	// Parse alone would also take fractions of a second.
	if c.at, err = time.Parse(timeFormat, c.stamp); err != nil || len(c.stamp) != len(timeFormat) {
		return refuse(Incomplete, "X-Amz-Date must be of the form YYYYMMDD'T'HHMMSS'Z'.")
	}
	if c.date != c.stamp[:len("20060102")] {
		return refuse(InvalidSignature, "Date in Credential scope does not match YYYYMMDD from the date of the request.")
	}
	if c.signature = signature; !isHash(signature) {
		return refuse(Incomplete, "The signature is not 64 lower-case hexadecimal digits.")
	}
	if strings.Count(headers, ";") >= maxSignedHeaders {
		return refuse(Incomplete, "More than %d headers are signed.", maxSignedHeaders)
	}
	c.headers = strings.Split(headers, ";")
	for i, name := range c.headers {
		if !isSignedName(name) || slices.Contains(c.headers[:i], name) {
			return refuse(Incomplete, "SignedHeaders must list each header once, in lower case.")
		}
	}
	return nil
}

// isHash reports whether s is a SHA-256 as everybody writes it.
func isHash(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

func isSignedName(s string) bool {
	return s == authority || s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789!#$%&'*+-.^_`|~") == ""
}
