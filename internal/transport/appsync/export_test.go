package appsync

// DecodeHeader is decodeHeader.
func DecodeHeader(coded string) (map[string]string, error) { return decodeHeader(coded) }
