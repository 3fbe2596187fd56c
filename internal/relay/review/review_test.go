package review

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	authn "k8s.io/api/authentication/v1"
	authz "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/cache"
)

// clock is set by the test.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

// cluster is an API server that knows a token, and whose rights and faults a test sets.
type cluster struct {
	reviews *Reviews
	clock   *clock
	log     bytes.Buffer

	mu     sync.Mutex
	tokens map[string]authn.TokenReviewStatus // by token, and audience after a space
	rights map[string]bool                    // by user and namespace
	fail   error
	asked  []string
}

func newCluster() *cluster {
	c := &cluster{clock: &clock{time.Unix(0, 0)}, tokens: map[string]authn.TokenReviewStatus{}, rights: map[string]bool{}}
	c.reviews = newReviews(slog.New(slog.NewTextHandler(&c.log, nil)), c.clock)
	c.reviews.tokens = c.review
	c.reviews.again = c.review
	c.reviews.rights = func(_ context.Context, ask *authz.SubjectAccessReview) (*authz.SubjectAccessReview, error) {
		c.mu.Lock()
		defer c.mu.Unlock()
		r := ask.Spec.ResourceAttributes
		if r.Group != "weftnet.io" || r.Resource != "flows" || r.Verb != "get" {
			return nil, errors.New("that is not asked")
		}
		key := ask.Spec.User + " " + strings.Join(ask.Spec.Groups, " ") + " " + r.Namespace
		c.asked = append(c.asked, "right "+key)
		return &authz.SubjectAccessReview{Status: authz.SubjectAccessReviewStatus{Allowed: c.rights[key]}}, c.fail
	}
	return c
}

func (c *cluster) review(_ context.Context, ask *authn.TokenReview) (*authn.TokenReview, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := strings.TrimSpace(ask.Spec.Token + " " + strings.Join(ask.Spec.Audiences, " "))
	c.asked = append(c.asked, "token "+key)
	return &authn.TokenReview{Status: c.tokens[key]}, c.fail
}

func known(user string, groups ...string) authn.TokenReviewStatus {
	return authn.TokenReviewStatus{Authenticated: true, User: authn.UserInfo{Username: user, Groups: groups}}
}

func TestRightsAreThoseOfTheTokensUser(t *testing.T) {
	c := newCluster()
	c.tokens["t"] = known("ann", "dev", "ops")
	c.rights["ann dev ops shop"] = true
	r, err := c.reviews.Admit(t.Context(), "t")
	if err != nil || r.Name() != "ann" {
		t.Fatal(r, err)
	}
	if all, err := r.All(t.Context()); all || err != nil {
		t.Error(all, err)
	}
	for namespace, want := range map[string]bool{"shop": true, "bank": false, "": false} {
		if may, err := r.May(t.Context(), namespace); may != want || err != nil {
			t.Errorf("%s: have %v, %v", namespace, may, err)
		}
	}
	if _, err := c.reviews.Admit(t.Context(), "unknown"); status.Code(err) != codes.Unauthenticated || strings.Contains(err.Error(), "unknown") {
		t.Error(err)
	}
	if _, err := c.reviews.Admit(t.Context(), strings.Repeat("x", maxToken+1)); status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
}

func TestATokenForTheRelayAloneIsTaken(t *testing.T) {
	c := newCluster()
	bound := known("ann")
	bound.Audiences = []string{Audience}
	c.tokens["t "+Audience] = bound
	c.tokens["other "+Audience] = known("eve") // of an API server that does not look at audiences
	if _, err := c.reviews.Admit(t.Context(), "t"); err != nil {
		t.Error(err)
	}
	if _, err := c.reviews.Admit(t.Context(), "other"); status.Code(err) != codes.Unauthenticated {
		t.Error(err)
	}
}

func TestAnswersAreRememberedForALittleWhile(t *testing.T) {
	c := newCluster()
	c.tokens["t"] = known("ann")
	c.rights["ann  shop"] = true
	r, err := c.reviews.Admit(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		if may, err := r.May(t.Context(), "shop"); !may || err != nil {
			t.Fatal(may, err)
		}
	}
	if len(c.asked) != 2 {
		t.Errorf("asked %q", c.asked)
	}
	// The right goes, and the token with it: within Remember, also for one that was admitted.
	c.rights["ann  shop"] = false
	c.clock.now = c.clock.now.Add(Remember + time.Second)
	if may, err := r.May(t.Context(), "shop"); may || err != nil {
		t.Error(may, err)
	}
	c.rights["ann  shop"] = true // and is back: that is known sooner
	c.clock.now = c.clock.now.Add(refusal + time.Second)
	if may, err := r.May(t.Context(), "shop"); !may || err != nil {
		t.Error(may, err)
	}
	delete(c.tokens, "t")
	c.clock.now = c.clock.now.Add(Remember + time.Second)
	if may, err := r.May(t.Context(), "shop"); may || status.Code(err) != codes.Unauthenticated {
		t.Error(may, err)
	}
}

func TestAUserWhoseGroupsChangeHasOtherRightsAtOnce(t *testing.T) {
	c := newCluster()
	c.tokens["one"], c.tokens["two"] = known("ann", "ops"), known("ann")
	c.rights["ann ops shop"] = true
	for token, want := range map[string]bool{"one": true, "two": false} {
		r, err := c.reviews.Admit(t.Context(), token)
		if err != nil {
			t.Fatal(err)
		}
		if may, err := r.May(t.Context(), "shop"); may != want || err != nil {
			t.Errorf("%s: have %v, %v", token, may, err)
		}
	}
}

func TestErrorsAllowNothingAndAreNotRemembered(t *testing.T) {
	c := newCluster()
	c.tokens["secret"] = known("ann")
	c.rights["ann  shop"] = true
	c.fail = errors.New("no")
	if _, err := c.reviews.Admit(t.Context(), "secret"); status.Code(err) != codes.Unavailable {
		t.Error(err)
	}
	c.fail = nil
	r, err := c.reviews.Admit(t.Context(), "secret")
	if err != nil {
		t.Fatal(err)
	}
	c.fail = errors.New("no")
	if may, err := r.May(t.Context(), "shop"); may || status.Code(err) != codes.Unavailable {
		t.Error(may, err)
	}
	c.fail = nil
	if may, err := r.May(t.Context(), "shop"); !may || err != nil {
		t.Error(may, err)
	}
	if strings.Contains(c.log.String(), "secret") {
		t.Errorf("the log has the token: %s", &c.log)
	}
}

func TestWhatIsRememberedIsBounded(t *testing.T) {
	c := newCluster()
	for i := range 2 * mostTokens {
		_, _ = c.reviews.Admit(t.Context(), strings.Repeat("x", i))
		c.asked = nil
	}
	for i := range 2 * mostTokens {
		token := fmt.Sprint("good", i)
		c.tokens[token] = known(token)
		_, _ = c.reviews.Admit(t.Context(), token)
		c.asked = nil
	}
	for _, kept := range []*cache.LRUExpireCache{c.reviews.users, c.reviews.refused, c.reviews.good} {
		if n := len(kept.Keys()); n == 0 || n > mostTokens {
			t.Errorf("%d tokens are remembered", n)
		}
	}
}

// from is a client at an address.
func from(ctx context.Context, address string) context.Context {
	return peer.NewContext(ctx, &peer.Peer{Addr: net.TCPAddrFromAddrPort(netip.MustParseAddrPort(address))})
}

// Any pod can send tokens that nothing knows, as fast as it likes.
func TestAFloodOfTokensHoldsUpThoseWhoSendIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.tokens["ann"], c.tokens["bob"] = known("ann"), known("bob")
		if _, err := c.reviews.Admit(from(t.Context(), "10.0.0.9:1"), "ann"); err != nil {
			t.Fatal(err)
		}
		c.clock.now = c.clock.now.Add(Remember + time.Second)
		slow := make(chan struct{}) // a limit of the way to the API server is reached
		under := 0
		c.reviews.tokens = func(ctx context.Context, ask *authn.TokenReview) (*authn.TokenReview, error) {
			if strings.HasPrefix(ask.Spec.Token, "bad") {
				c.mu.Lock()
				under++
				c.mu.Unlock()
				<-slow
			}
			return c.review(ctx, ask)
		}
		var flood sync.WaitGroup
		for i := range 500 {
			flood.Go(func() {
				if _, err := c.reviews.Admit(from(t.Context(), "10.0.0.9:2"), fmt.Sprint("bad", i)); err == nil {
					t.Error("a bad token is taken")
				}
			})
		}
		synctest.Wait()
		if under != ofAddress {
			t.Errorf("%d questions of one address are under way", under)
		}
		if _, err := c.reviews.Admit(from(t.Context(), "10.0.0.9:3"), "ann"); err != nil {
			t.Errorf("one that was good is not taken: %v", err)
		}
		if _, err := c.reviews.Admit(from(t.Context(), "10.0.0.8:1"), "bob"); err != nil {
			t.Errorf("one of another address is not taken: %v", err)
		}
		close(slow)
		flood.Wait()
		if n := len(c.reviews.addresses.each); n != 0 {
			t.Errorf("%d addresses are kept", n)
		}
	})
}

func TestTokensThatNothingKnowsPushOutNoneThatIsGood(t *testing.T) {
	c := newCluster()
	c.tokens["ann"] = known("ann")
	for range 2 {
		if _, err := c.reviews.Admit(t.Context(), "ann"); err != nil {
			t.Fatal(err)
		}
		c.asked = nil
		for i := range 2 * mostTokens {
			_, _ = c.reviews.Admit(t.Context(), fmt.Sprint("bad", i))
			_, _ = c.reviews.Admit(t.Context(), fmt.Sprint("bad", i)) // not asked again at once
		}
		if n := len(c.asked); n > 4*mostTokens {
			t.Errorf("%d questions", n)
		}
	}
	if slices.Contains(c.asked, "token ann") {
		t.Error("a good token is asked about again")
	}
}

func TestAUserWhoAsksMuchWaitsForItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCluster()
		c.tokens["ann"], c.tokens["bob"] = known("ann"), known("bob")
		ann, err := c.reviews.Admit(t.Context(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		slow, rights, under := make(chan struct{}), c.reviews.rights, 0
		c.reviews.rights = func(ctx context.Context, ask *authz.SubjectAccessReview) (*authz.SubjectAccessReview, error) {
			if ask.Spec.User == "ann" {
				c.mu.Lock()
				under++
				c.mu.Unlock()
				<-slow
			}
			return rights(ctx, ask)
		}
		var many sync.WaitGroup
		for i := range 100 {
			many.Go(func() { _, _ = ann.May(t.Context(), fmt.Sprint("n", i)) })
		}
		synctest.Wait()
		if under != ofUser {
			t.Errorf("%d questions of one user are under way", under)
		}
		bob, err := c.reviews.Admit(t.Context(), "bob")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bob.May(t.Context(), "shop"); err != nil {
			t.Error(err)
		}
		close(slow)
		many.Wait()
	})
}
