package openai

import "github.com/runnelhq/runnel"

// ReadChat and ReadResponse read the bodies of requests.
func ReadChat(data []byte) (runnel.Prompt, error) {
	var b chatRequest
	if err := decode(data, &b); err != nil {
		return runnel.Prompt{}, err
	}
	return b.prompt()
}

func ReadResponse(data []byte) (runnel.Prompt, error) {
	var b responseRequest
	if err := decode(data, &b); err != nil {
		return runnel.Prompt{}, err
	}
	return b.prompt()
}
