package anthropic

// NewDecoder lets the fuzzer at the decoder without a server.
var NewDecoder = newDecoder
