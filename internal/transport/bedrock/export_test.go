package bedrock

import (
	"github.com/runnelhq/runnel"
	"github.com/runnelhq/runnel/internal/reply"
)

// Read reads the body of a request: of Converse, or, with a model id, of
// InvokeModel.
func Read(id string, data []byte) (runnel.Prompt, error) {
	read := readConverse
	if id != "" {
		read = func(data []byte) (question, error) { return readInvoke(id, data) }
	}
	q, err := read(data)
	return q.prompt, err
}

// Framer returns what frames an answer in the form of a request's.
func Framer(id string, data []byte) (reply.Former, error) {
	if id == "" {
		return newStream(converseForm{}, false), nil
	}
	q, err := readInvoke(id, data)
	return newStream(q.form, true), err
}
