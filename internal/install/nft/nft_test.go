package nft

import (
	"math/rand/v2"
	"testing"

	"golang.org/x/sys/unix"
)

// immediate is an expression with a verdict that leads to a chain.
func immediate(name, to string) []byte {
	verdict := append(number32(unix.NFTA_VERDICT_CODE, 0xfffffffd), text(unix.NFTA_VERDICT_CHAIN, to)...)
	data := append(number32(unix.NFTA_IMMEDIATE_DREG, 0), attribute(unix.NFTA_IMMEDIATE_DATA, attribute(unix.NFTA_DATA_VERDICT|unix.NLA_F_NESTED, verdict))...)
	return append(text(unix.NFTA_EXPR_NAME, name), attribute(unix.NFTA_EXPR_DATA|unix.NLA_F_NESTED, data)...)
}

func TestTheChainIsFoundThatARuleLeadsTo(t *testing.T) {
	if to := leads(immediate("immediate", "KUBE-SERVICES")); to != "KUBE-SERVICES" {
		t.Errorf("it leads to %q", to)
	}
	for what, e := range map[string][]byte{"a match": immediate("match", "KUBE-SERVICES"), "a verdict without a chain": immediate("immediate", ""), "nothing": nil} {
		if to := leads(e); to != "" {
			t.Errorf("%s leads to %q", what, to)
		}
	}
}

func TestWhatIsCutShortOrBrokenIsReadToItsEndAndNoFurther(t *testing.T) {
	whole := immediate("immediate", "KUBE-SERVICES")
	for range 100_000 {
		b := append([]byte(nil), whole[:rand.IntN(len(whole)+1)]...)
		for range min(2, len(b)) {
			b[rand.IntN(len(b))] = byte(rand.Uint32())
		}
		leads(b)
	}
}
