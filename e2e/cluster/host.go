//go:build linux

package cluster

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

// The networks of hosts in namespaces. The tests themselves have the last address
// in both.
const (
	insideNet  = "10.77.0."
	outsideNet = "10.78.0."
	self       = "254"
)

// Outside is the address of whoever runs a cluster in namespaces, for its clients
// and model servers.
const Outside = outsideNet + self

// A host is a machine as far as its processes can tell.
type host struct {
	inside  string // its address for the cluster
	outside string // its address for clients
	// holder keeps the network namespace; nil if it is that of this process.
	holder *exec.Cmd
	link   string // of the inside network, as the bridge has it
}

// loopback is a host without a namespace.
func loopback() *host { return &host{inside: "127.0.0.1", outside: "127.0.0.1"} }

// port returns one that nobody has on the host: in a namespace of its own always
// the same.
func (h *host) port(fixed int) (int, error) {
	if h.holder != nil {
		return fixed, nil
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer ln.Close() //nolint:errcheck // nobody has connected
	return ln.Addr().(*net.TCPAddr).Port, nil
}

// command returns a command that is to run on the host. nsenter becomes the
// program that it starts, so signals reach it.
func (h *host) command(name string, args ...string) *exec.Cmd {
	if h.holder == nil {
		return exec.Command(name, args...)
	}
	return exec.Command("nsenter", append([]string{"--target", strconv.Itoa(h.holder.Process.Pid), "--net", name}, args...)...)
}

// Bridges makes the two networks, in the namespace of this process, which must
// have one of its own.
func Bridges(ctx context.Context) error {
	return ip(ctx, fmt.Sprintf(`
		link set lo up
		link add inside type bridge
		addr add %[1]s%[3]s/24 dev inside
		link set inside up
		link add outside type bridge
		addr add %[2]s%[3]s/24 dev outside
		link set outside up`, insideNet, outsideNet, self))
}

// namespace makes a host with a network namespace of its own, the n-th.
func namespace(ctx context.Context, n int) (*host, error) {
	h := &host{
		inside: insideNet + strconv.Itoa(n), outside: outsideNet + strconv.Itoa(n),
		holder: exec.Command("sleep", "infinity"), link: fmt.Sprintf("inside%d", n),
	}
	h.holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := h.holder.Start(); err != nil {
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	pid := h.holder.Process.Pid
	err := ip(ctx, fmt.Sprintf(`
		link add inside%[1]d type veth peer name inside netns %[2]d
		link set inside%[1]d master inside up
		link add outside%[1]d type veth peer name outside netns %[2]d
		link set outside%[1]d master outside up`, n, pid))
	for _, line := range []string{
		"link set lo up",
		"addr add " + h.inside + "/24 dev inside", "link set inside up",
		"addr add " + h.outside + "/24 dev outside", "link set outside up",
	} {
		if err == nil {
			err = output(h.command("ip", strings.Fields(line)...))
		}
	}
	if err != nil {
		h.close()
		return nil, err
	}
	return h, nil
}

func (h *host) close() {
	if h.holder != nil {
		_ = h.holder.Process.Kill()
		_ = h.holder.Wait()
	}
}

// A Direction is that of the packets that a partition drops.
type Direction string

// The directions, as the host sees them.
const (
	Outgoing Direction = "outgoing"
	Incoming Direction = "incoming"
	Both     Direction = "both directions"
)

// partition drops the host's packets from or to the other machines of the cluster,
// without a word to either side. Clients still reach it. heal ends it.
func (h *host) partition(d Direction) (heal func() error, err error) {
	var cuts []func(do string) error
	if d != Incoming {
		cuts = append(cuts, func(do string) error {
			return output(h.command("tc", "qdisc", do, "dev", "inside", "root", "blackhole"))
		})
	}
	if d != Outgoing {
		cuts = append(cuts, func(do string) error {
			return output(exec.Command("tc", "qdisc", do, "dev", h.link, "root", "blackhole"))
		})
	}
	for _, cut := range cuts {
		if err := cut("add"); err != nil {
			return nil, err
		}
	}
	return sync.OnceValue(func() error {
		for _, cut := range cuts {
			if err := cut("del"); err != nil {
				return err
			}
		}
		return nil
	}), nil
}

// ip runs the ip command for each line.
func ip(ctx context.Context, lines string) error {
	for line := range strings.Lines(strings.TrimSpace(lines)) {
		if err := output(exec.CommandContext(ctx, "ip", strings.Fields(line)...)); err != nil {
			return err
		}
	}
	return nil
}

// output runs a command and puts what it says into the error.
func output(c *exec.Cmd) error {
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
