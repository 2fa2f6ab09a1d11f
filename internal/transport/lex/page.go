package lex

import (
	_ "embed"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path"

	"github.com/runnelhq/runnel/internal/peer"
)

// What a folder with the UI's files need not have.
const (
	configFile    = "lex-web-ui-loader-config.json"
	endpointsFile = "runnel-endpoints.js"
	indexFile     = "index.html"
)

//go:embed page/index.html
var indexPage []byte

//go:embed page/runnel-endpoints.js
var endpointsScript []byte

// region is where the UI believes itself to be. It is none of AWS's, so that its
// names lead nowhere else.
const region = "runnel-1"

// A Page serves a Lex Web UI out of a folder, as it is published, with what it
// takes to use this gateway in place of AWS.
type Page struct {
	files fs.FS
	root  *os.Root
	stage string
	table string
}

// OpenPage opens the folder. Stage is that of the WebSocket API that shows answers
// while they come.
func OpenPage(dir, stage, table string) (*Page, error) {
	root, err := os.OpenRoot(dir) // links do not lead out of it
	if err != nil {
		return nil, err
	}
	return &Page{files: root.FS(), root: root, stage: stage, table: table}, nil
}

// Close closes the folder.
func (p *Page) Close() error { return p.root.Close() }

// Register hands each route's pattern and handler to handle.
func (p *Page) Register(handle func(pattern string, handler http.Handler)) {
	handle("GET /lex/{file...}", http.HandlerFunc(p.serve))
}

func (p *Page) serve(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if name == "" {
		name = indexFile
	}
	h := w.Header()
	h.Set("Cache-Control", "no-cache")
	if name == endpointsFile {
		h.Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(endpointsScript)
		return
	}
	info, err := fs.Stat(p.files, name)
	switch missing := errors.Is(err, fs.ErrNotExist); {
	case missing && name == indexFile:
		h.Set("Content-Type", "text/html; charset=utf-8")
		_, _ = w.Write(indexPage)
	case missing && path.Base(name) == configFile:
		writeBody(w, http.StatusOK, "application/json", p.config(r))
	case err != nil || info.IsDir():
		http.Error(w, "there is no such file", http.StatusNotFound)
	default:
		http.ServeFileFS(w, r, p.files, name)
	}
}

// config is what the UI's loader asks for.
func (p *Page) config(r *http.Request) any {
	scheme := "ws://"
	if peer.Secure(r) {
		scheme = "wss://"
	}
	return map[string]any{
		"region":  region,
		"cognito": map[string]string{"poolId": region + ":00000000-0000-0000-0000-000000000000", "region": region},
		"lex": map[string]any{
			"region": region, "botName": "Runnel", "v2BotId": "RUNNELBOT0", "v2BotAliasId": "RUNNELLIVE", "v2BotLocaleId": "en_US",
			"initialText": "Ask me anything.", "allowStreamingResponses": true,
			"streamingWebSocketEndpoint": scheme + r.Host + "/" + p.stage, "streamingDynamoDbTable": p.table,
		},
		"recorder": map[string]bool{"enable": false},
		// Or it would say its first text again after every answer.
		"ui": map[string]any{"toolbarTitle": "Chat", "pageTitle": "Chat", "pushInitialTextOnRestart": false},
	}
}
