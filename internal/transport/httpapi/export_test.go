package httpapi

// DecodeSubmission is for the fuzz test.
var DecodeSubmission = decodeSubmission
