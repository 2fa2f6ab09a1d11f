package auth

import "net/http"

// Middleware authenticates requests before next sees them. Their contexts carry
// the principal, and end as [Service.Bind] has it. Those who are refused get
// what writeError makes of the reason.
func (s *Service) Middleware(next http.Handler, writeError func(http.ResponseWriter, *http.Request, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, err := s.Authenticate(r.Context(), FromRequest(r))
		if err != nil {
			writeError(w, r, err)
			return
		}
		ctx, release := s.Bind(r.Context(), p)
		defer release()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
