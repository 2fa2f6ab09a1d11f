package awsfn

import (
	"fmt"
	"log/slog"

	"github.com/runnelhq/runnel/internal/auth"
)

// OpenCallers returns who may ask, as the environment says: holders of tokens of
// ISSUER for one of CLIENT_IDS or AUDIENCES, and of the API keys whose hashes, as
// `runnel key new` prints them, are API_KEY_HASHES. It is nil if there is nobody:
// then somebody else has to ask for credentials.
func OpenCallers(s *Settings, logger *slog.Logger) (*auth.Service, error) {
	var cfg auth.Config
	if issuer := s.Text("ISSUER", ""); issuer != "" {
		cfg.Issuers = []auth.Issuer{{
			Issuer: issuer, JWKSURL: s.Text("JWKS_URL", ""), TokenUse: s.Text("TOKEN_USE", ""),
			ClientIDs: s.List("CLIENT_IDS"), Audiences: s.List("AUDIENCES"),
		}}
	}
	for i, hash := range s.List("API_KEY_HASHES") {
		cfg.Keys = append(cfg.Keys, auth.Key{Name: fmt.Sprintf("key-%d", i+1), Hash: hash})
	}
	if err := s.Err(); err != nil || !cfg.Enabled() {
		return nil, err
	}
	return auth.New(cfg, nil, logger)
}
