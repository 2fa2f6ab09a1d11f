package graphql_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/runnelhq/runnel/internal/graphql"
)

// The cache forgets what was not asked for lately, by number and by size, and
// keeps nothing that is not valid.
func TestDocumentCache(t *testing.T) {
	t.Parallel()
	s := load(t, reference)
	prepare := func(query string) (refused bool) {
		_, errs := s.Prepare(graphql.Request{Query: query})
		return errs != nil
	}
	for i := range 1_500 {
		if prepare(fmt.Sprintf("query q%d { __typename }", i)) || !prepare(fmt.Sprintf("query q%d { nothing }", i)) {
			t.Fatal(i)
		}
	}
	if n, _ := s.CachedDocuments(); n != 1_000 {
		t.Errorf("%d documents", n)
	}
	for i := range 20 {
		if prepare(fmt.Sprintf("query q%d { __typename } #%s", i, strings.Repeat("x", 100<<10))) {
			t.Fatal(i)
		}
	}
	if n, bytes := s.CachedDocuments(); n != 10 || bytes > 1<<20 {
		t.Errorf("%d documents of %d bytes", n, bytes)
	}
}
