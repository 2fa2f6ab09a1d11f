package graphql

// CachedDocuments returns how many documents are kept, and the bytes of their texts.
func (s *Schema) CachedDocuments() (n, bytes int) {
	s.documents.mu.Lock()
	defer s.documents.mu.Unlock()
	if n = s.documents.recent.Len(); n != len(s.documents.byText) {
		panic("the list and the index differ")
	}
	return n, s.documents.bytes
}
