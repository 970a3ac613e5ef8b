// A diago user agent in a process of its own, driven by JSON lines.
//
// The one argument is a JSON object:
//
//	{"user": NUMBER, "host": IP, "port": PORT, "transport": "udp" | "tcp" | "tls",
//	 "voice": FILE, "heard": FILE, "trace": FILE,
//	 "certificate": FILE, "key": FILE, "authority": FILE,
//	 "username": NAME, "password": TEXT, "asks_username": NAME, "asks_password": TEXT}
//
// `voice` is spoken and what is heard is kept, both as raw PCM of 16 bits at 8 kHz. `username` answers a
// challenge; `asks_username` makes the agent challenge whoever calls it. Commands come in as
// {"do": "dial", "uri": ...} and so on, one a line; events go out as {"event": NAME, ...}.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/emiago/diago"
	"github.com/emiago/diago/audio"
	"github.com/emiago/diago/media"
	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// 20 ms of 16 bits at 8 kHz.
const frameBytes = 320

type settings struct {
	User         string `json:"user"`
	Host         string `json:"host"`
	Port         int    `json:"port"`
	Transport    string `json:"transport"`
	Voice        string `json:"voice"`
	Heard        string `json:"heard"`
	Trace        string `json:"trace"`
	Certificate  string `json:"certificate"`
	Key          string `json:"key"`
	Authority    string `json:"authority"`
	Username     string `json:"username"`
	Password     string `json:"password"`
	AsksUsername string `json:"asks_username"`
	AsksPassword string `json:"asks_password"`
}

type command struct {
	Do     string `json:"do"`
	URI    string `json:"uri"`
	Digits string `json:"digits"`
	How    string `json:"how"`
}

// What both sides of a dialog can do.
type dialog interface {
	Hold(context.Context) error
	Unhold(context.Context) error
	ReInvite(context.Context) error
	Hangup(context.Context) error
	Close() error
	Context() context.Context
	Do(context.Context, *sip.Request) (*sip.Response, error)
	RemoteContact() *sip.ContactHeader
}

var told sync.Mutex

func tell(event string, more ...string) {
	told.Lock()
	defer told.Unlock()
	line := map[string]string{"event": event}
	for at := 0; at+1 < len(more); at += 2 {
		line[more[at]] = more[at+1]
	}
	text, _ := json.Marshal(line)
	fmt.Println(string(text))
}

type trace struct {
	lock sync.Mutex
	file *os.File
}

func (t *trace) write(way, transport, laddr, raddr string, message []byte) {
	t.lock.Lock()
	defer t.lock.Unlock()
	fmt.Fprintf(t.file, "%s %s %s %s\n%s\n", way, strings.ToUpper(transport), laddr, raddr, message)
}

func (t *trace) SIPTraceRead(transport, laddr, raddr string, message []byte) {
	t.write("RX", transport, laddr, raddr, message)
}

func (t *trace) SIPTraceWrite(transport, laddr, raddr string, message []byte) {
	t.write("TX", transport, laddr, raddr, message)
}

type phone struct {
	settings settings
	agent    *diago.Diago
	digests  *diago.DigestAuthServer
	voice    []byte
	heard    *os.File

	lock sync.Mutex
	// The call as it is: dialled and not answered (cancel), come in and not answered (server), or up.
	cancel context.CancelFunc
	server *diago.DialogServerSession
	sound  *diago.DialogMedia
	call   dialog
	dtmf   *diago.DTMFWriter
	held   bool
	// Told to a dialog that came in, whose handler must not return before it is over.
	answer chan string
}

func main() {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err := run(); err != nil {
		tell("FAILED", "text", err.Error())
		os.Exit(1)
	}
}

func run() error {
	p := &phone{answer: make(chan string, 4), digests: diago.NewDigestServer()}
	if len(os.Args) != 2 {
		return errors.New("one argument: the settings")
	}
	if err := json.Unmarshal([]byte(os.Args[1]), &p.settings); err != nil {
		return err
	}
	s := p.settings
	var err error
	if p.voice, err = os.ReadFile(s.Voice); err != nil {
		return err
	}
	if p.heard, err = os.Create(s.Heard); err != nil {
		return err
	}
	file, err := os.Create(s.Trace)
	if err != nil {
		return err
	}
	sip.SIPDebug = true
	sip.SIPDebugTracer(&trace{file: file})

	transport := diago.Transport{Transport: s.Transport, BindHost: s.Host, BindPort: s.Port}
	agentOptions := []sipgo.UserAgentOption{sipgo.WithUserAgent(s.User), sipgo.WithUserAgentHostname(s.Host)}
	if s.Transport == "tls" {
		if transport.TLSConf, err = s.tls(); err != nil {
			return err
		}
		// A sips Contact would ask that the whole way be TLS (RFC 3261 19.1), which is not what we say.
		transport.TLSURINoSIPS = true
		agentOptions = append(agentOptions, sipgo.WithUserAgenTLSConfig(transport.TLSConf))
	}
	agent, err := sipgo.NewUA(agentOptions...)
	if err != nil {
		return err
	}
	p.agent = diago.NewDiago(
		agent,
		diago.WithTransport(transport),
		diago.WithMediaConfig(diago.MediaConfig{
			Codecs: []media.Codec{media.CodecAudioAlaw, media.CodecAudioUlaw, media.CodecTelephoneEvent8000},
		}),
	)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := p.agent.ServeBackground(ctx, p.take); err != nil {
		return err
	}
	tell("READY")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return err
		}
		if err := p.do(ctx, c); err != nil {
			tell("FAILED", "text", c.Do+": "+err.Error())
		}
	}
	return nil
}

func (s settings) tls() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(s.Certificate, s.Key)
	if err != nil {
		return nil, err
	}
	text, err := os.ReadFile(s.Authority)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("no certificate in " + s.Authority)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, RootCAs: pool}, nil
}

func (p *phone) do(ctx context.Context, c command) error {
	switch c.Do {
	case "dial":
		return p.dial(ctx, c.URI)
	case "ring", "early", "answer", "reject":
		p.answer <- c.Do
		return nil
	case "hangup":
		p.lock.Lock()
		call, cancel := p.call, p.cancel
		p.lock.Unlock()
		if call == nil && cancel != nil {
			cancel()
			return nil
		}
		if call == nil {
			return errors.New("there is no call")
		}
		if err := call.Hangup(ctx); err != nil {
			// As a program would that hangs up: it is over for this side, whatever the other one says.
			fmt.Fprintln(os.Stderr, "hangup:", err)
			return call.Close()
		}
		return nil
	}
	p.lock.Lock()
	call, dtmf, sound := p.call, p.dtmf, p.sound
	p.lock.Unlock()
	if call == nil {
		return errors.New("there is no call")
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	switch c.Do {
	case "hold":
		p.setHeld(true)
		return changed(call.Hold(ctx))
	case "resume":
		defer p.setHeld(false)
		return changed(call.Unhold(ctx))
	case "reinvite":
		return changed(call.ReInvite(ctx))
	case "update":
		// diago has none of its own: what it said last, by the other method (RFC 3311).
		request := sip.NewRequest(sip.UPDATE, call.RemoteContact().Address)
		request.AppendHeader(&sip.ContactHeader{
			Address: sip.Uri{Scheme: "sip", User: p.settings.User, Host: p.settings.Host, Port: p.settings.Port},
		})
		request.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		request.SetBody(sound.MediaSession().LocalSDP(false))
		response, err := call.Do(ctx, request)
		if err == nil && (response.StatusCode != 200 || !strings.Contains(string(response.Body()), "m=audio")) {
			err = fmt.Errorf("UPDATE got %s", response)
		}
		return changed(err)
	case "rename":
		// As a gateway does that sends from another source: a new name, and all else as before (RFC 3550 8.2).
		sound.RTPPacketWriter.SSRC ^= 0x5a5a5a5a
		tell("CHANGED")
		return nil
	case "dtmf":
		for _, digit := range c.Digits {
			if c.How != "info" {
				if err := dtmf.WriteDTMF(digit); err != nil {
					return err
				}
				// A pause between two keys, as a finger makes.
				time.Sleep(60 * time.Millisecond)
				continue
			}
			request := sip.NewRequest(sip.INFO, call.RemoteContact().Address)
			request.AppendHeader(sip.NewHeader("Content-Type", "application/dtmf-relay"))
			request.SetBody([]byte(fmt.Sprintf("Signal=%c\r\nDuration=160\r\n", digit)))
			response, err := call.Do(ctx, request)
			if err != nil {
				return err
			}
			if response.StatusCode != 200 {
				return fmt.Errorf("INFO got %d", response.StatusCode)
			}
		}
		return nil
	}
	return errors.New("unknown command")
}

// A holder keeps silent: what it would play is not what these tests listen for.
func (p *phone) setHeld(held bool) {
	p.lock.Lock()
	p.held = held
	p.lock.Unlock()
}

func changed(err error) error {
	if err == nil {
		tell("CHANGED")
	}
	return err
}

// As the caller

func (p *phone) dial(ctx context.Context, uri string) error {
	var to sip.Uri
	if err := sip.ParseUri(uri, &to); err != nil {
		return err
	}
	session, err := p.agent.NewDialog(to, diago.NewDialogOptions{Transport: p.settings.Transport})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	p.lock.Lock()
	p.cancel = cancel
	p.lock.Unlock()
	go func() {
		defer cancel()
		if err := p.invite(ctx, session); err != nil {
			tell("CALL_CLOSED", "text", err.Error())
		}
		_ = session.Close()
	}()
	return nil
}

func (p *phone) invite(ctx context.Context, session *diago.DialogClientSession) error {
	onResponse := func(response *sip.Response) error {
		if response.StatusCode == 180 {
			tell("CALL_RINGING")
		}
		return nil
	}
	stop := func() {}
	options := diago.InviteClientOptions{
		OnResponse:       onResponse,
		OnMediaUpdate:    p.updated,
		Username:         p.settings.Username,
		Password:         p.settings.Password,
		EarlyMediaDetect: true,
	}
	options.WithCaller("", p.settings.User, p.settings.Host)
	dialogMedia, err := session.Invite(ctx, options)
	if errors.Is(err, diago.ErrClientEarlyMedia) {
		tell("CALL_PROGRESS")
		if stop, err = p.carrySound(dialogMedia, session.Context()); err != nil {
			return err
		}
		err = session.WaitAnswer(ctx, dialogMedia, sipgo.AnswerOptions{
			OnResponse: onResponse, Username: p.settings.Username, Password: p.settings.Password,
		})
	} else if err == nil {
		stop, err = p.carrySound(dialogMedia, session.Context())
	}
	defer stop()
	if err != nil {
		return err
	}
	// The call is ours before it is acknowledged: the other side may change it at once.
	p.setCall(session)
	if err := session.Ack(ctx); err != nil {
		return err
	}
	tell("CALL_ESTABLISHED", "peer", session.InviteResponse.From().String()+session.InviteResponse.To().String())
	<-session.Context().Done()
	tell("CALL_CLOSED")
	return nil
}

// As the callee

func (p *phone) take(session *diago.DialogServerSession) {
	if name := p.settings.AsksUsername; name != "" {
		// With a refusal the handler ends, and the caller comes again with an answer.
		auth := diago.DigestAuth{Username: name, Password: p.settings.AsksPassword, Realm: "diago", Expire: time.Minute}
		if err := p.digests.AuthorizeDialog(session, auth); err != nil {
			return
		}
	}
	tell("CALL_INCOMING", "peer", session.InviteRequest.From().String(), "headers", session.InviteRequest.String())
	var dialogMedia *diago.DialogMedia
	stop := func() {}
	defer func() { stop() }()
	for {
		var what string
		select {
		case what = <-p.answer:
		case <-session.Context().Done():
			tell("CALL_CLOSED")
			return
		}
		var err error
		switch what {
		case "ring":
			err = session.Ringing()
		case "reject":
			_ = session.Respond(486, "Busy Here", nil)
			tell("CALL_CLOSED")
			return
		case "early":
			if dialogMedia, err = session.ProgressMedia(diago.ProgressMediaOptions{}); err == nil {
				stop, err = p.carrySound(dialogMedia, session.Context())
			}
		case "answer":
			options := diago.AnswerOptions{OnMediaUpdate: p.updated}
			if dialogMedia == nil {
				if dialogMedia, err = session.Answer(options); err == nil {
					stop, err = p.carrySound(dialogMedia, session.Context())
				}
			} else {
				err = session.AnswerEarlyMedia(dialogMedia, options)
			}
			if err == nil {
				p.setCall(session)
				tell("CALL_ESTABLISHED", "peer", session.InviteRequest.From().String())
				<-session.Context().Done()
				tell("CALL_CLOSED")
				return
			}
		}
		if err != nil {
			tell("FAILED", "text", what+": "+err.Error())
			return
		}
	}
}

func (p *phone) setCall(call dialog) {
	p.lock.Lock()
	p.call = call
	p.lock.Unlock()
}

// The other side changed the session: whether it holds us stands in what we answered (RFC 3264 8.4).
func (p *phone) updated(dialogMedia *diago.DialogMedia) {
	answer := string(dialogMedia.MediaSession().LocalSDP(true))
	if strings.Contains(answer, "a=recvonly") || strings.Contains(answer, "a=inactive") {
		tell("CALL_HOLD")
	} else {
		tell("CALL_RESUME")
	}
}

// Speaks and listens until the dialog is over or `stop` is called.
func (p *phone) carrySound(dialogMedia *diago.DialogMedia, ctx context.Context) (stop func(), err error) {
	var props diago.MediaProps
	keys, typed := &diago.DTMFReader{}, &diago.DTMFWriter{}
	reader, err := dialogMedia.AudioReader(diago.WithAudioReaderMediaProps(&props), diago.WithAudioReaderDTMF(keys))
	if err != nil {
		return func() {}, err
	}
	writer, err := dialogMedia.AudioWriter(diago.WithAudioWriterDTMF(typed))
	if err != nil {
		return func() {}, err
	}
	keys.OnDTMF(func(digit rune) error {
		tell("DIGIT", "digit", string(digit))
		return nil
	})
	p.lock.Lock()
	p.dtmf, p.sound = typed, dialogMedia
	p.lock.Unlock()
	var decoder audio.PCMDecoderWriter
	if err := decoder.Init(props.Codec, p.heard); err != nil {
		return func() {}, err
	}
	var encoder audio.PCMEncoderWriter
	if err := encoder.Init(props.Codec, writer); err != nil {
		return func() {}, err
	}
	ctx, cancel := context.WithCancel(ctx)
	go p.listen(ctx, dialogMedia, reader, &decoder, props.Codec)
	go p.speak(ctx, &encoder)
	return cancel, nil
}

func (p *phone) listen(
	ctx context.Context, dialogMedia *diago.DialogMedia, reader io.Reader, decoder io.Writer, codec media.Codec,
) {
	packet := make([]byte, media.RTPBufSize)
	for ctx.Err() == nil {
		length, err := reader.Read(packet)
		if err != nil {
			return
		}
		// Keys are no sound.
		if length > 0 && dialogMedia.RTPPacketReader.PacketHeader.PayloadType == codec.PayloadType {
			if _, err := decoder.Write(packet[:length]); err != nil {
				return
			}
		}
	}
}

func (p *phone) speak(ctx context.Context, encoder io.Writer) {
	for at := 0; ctx.Err() == nil; {
		p.lock.Lock()
		held := p.held
		p.lock.Unlock()
		if held {
			select {
			case <-ctx.Done():
			case <-time.After(20 * time.Millisecond):
			}
			continue
		}
		// The writer keeps the time.
		if _, err := encoder.Write(p.voice[at : at+frameBytes]); err != nil {
			return
		}
		if at += frameBytes; at+frameBytes > len(p.voice) {
			at = 0
		}
	}
}
