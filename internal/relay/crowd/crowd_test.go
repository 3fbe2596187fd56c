package crowd

import (
	"fmt"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestOneClientHasAQuarterOfThePlacesAndNoneIsLost(t *testing.T) {
	c := New(8)
	var leaves []func()
	enter := func(client string) error {
		leave, err := c.Enter(client)
		if err == nil {
			leaves = append(leaves, leave)
		}
		return err
	}
	for i := range 6 {
		if err := enter("greedy"); (err == nil) != (i < 2) {
			t.Errorf("request %d of one client: %v", i, err)
		}
		if err := enter(fmt.Sprint("system:serviceaccount:shop:", i)); (err == nil) != (i < 2) {
			t.Errorf("request of account %d of one namespace: %v", i, err)
		}
	}
	for i := range 6 {
		if err := enter(fmt.Sprint("other", i)); (err == nil) != (i < 4) || err != nil && status.Code(err) != codes.ResourceExhausted {
			t.Errorf("request of another client: %v", err)
		}
	}
	for _, leave := range leaves {
		leave()
		leave() // counts once
	}
	if c.all != 0 || len(c.each) != 0 {
		t.Errorf("%d are left, %v", c.all, c.each)
	}
	var work sync.WaitGroup
	for i := range 64 {
		work.Go(func() {
			for range 100 {
				if leave, err := c.Enter(fmt.Sprint(i % 3)); err == nil {
					leave()
				}
			}
		})
	}
	if work.Wait(); c.all != 0 || len(c.each) != 0 {
		t.Errorf("%d are left, %v", c.all, c.each)
	}
}
