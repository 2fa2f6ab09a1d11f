package idiom

import "github.com/runnelhq/runnel"

// The messages that begin and end an answer, in the design that has them.
const (
	MarkerStart = "#START_STREAM#"
	MarkerEnd   = "#END_STREAM#"
	MarkerError = "#STREAM_ERROR#"
)

// PieceType returns what a message with the given text does to an answer.
func PieceType(text string) runnel.EventType {
	switch text {
	case MarkerStart:
		return runnel.EventStarted
	case MarkerEnd:
		return runnel.EventDone
	case MarkerError:
		return runnel.EventFailed
	}
	return runnel.EventDelta
}

// ErrorSentence is what a user reads of an answer that fails, in the languages of
// the reference implementation. Any other is answered in English.
func ErrorSentence(locale string) string {
	switch locale {
	case "fr_CA", "fr_FR", "fr":
		return "Désolé, je n'ai pas pu répondre à votre question."
	case "zh_HK", "zh_TW":
		return "抱歉，我無法回答您的問題。"
	case "zh_CN", "zh_SG":
		return "抱歉，我无法回答您的问题。"
	}
	return "Sorry, I was not able to answer your question."
}
