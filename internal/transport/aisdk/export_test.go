package aisdk

// ReadPrompt reads the body of a chat request.
var ReadPrompt = readPrompt
