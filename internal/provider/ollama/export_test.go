package ollama

// NewDecoder lets the fuzzer at the decoder without a server.
var NewDecoder = newDecoder

// HostURL is tested by itself: it has more forms than a server can have.
var HostURL = hostURL
