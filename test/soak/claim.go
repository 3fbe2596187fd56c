package main

import (
	"context"
	"time"

	"weftnet.io/weftnet/internal/nettest/claim"
)

// claims kills agents while they give addresses of one range: none is given twice, what lives keeps its own, and nothing stays taken.
func claims(ctx context.Context, b *bed) error {
	a, err := claim.Run(ctx, claim.Plan{Rand: b.Rand, Agents: 3, Lasts: b.lasts, Life: time.Second, Kubeconfig: b.api, Dir: b.dir})
	b.printf("%v", a)
	return err
}
