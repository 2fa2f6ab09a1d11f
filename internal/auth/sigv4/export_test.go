package sigv4

// ApolloBody shows the other body that Apollo's client may have signed.
func ApolloBody(body []byte) ([]byte, bool) { return apolloBody(body) }

// Matches reports whether r carries a signature that the key has made, whatever
// its service, time and headers.
func Matches(r Request, k Key) bool {
	c, err := parse(r)
	return err == nil && new(state).checkSignature(c, &credential{Key: k}, r) == nil
}
