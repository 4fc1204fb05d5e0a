import Radio
import Wire

/// One node alone on a bench that plays its chip and its flash, and looks at what it asks for.
struct Bench<N: Node>: ~Copyable {
    var node: N
    var now = Instant.zero
    let flash: Flash
    private var out = Outbox()
    /// What the chip is sending.
    private(set) var sending: UInt8?
    /// The node has cut its own power.
    private(set) var isRestarting = false
    /// The latest frames that it sent.
    private(set) var sent: [FrameBuffer] = []
    /// What it has noted.
    private(set) var events: Set<EventKind> = []

    init(_ node: N, flash: Flash, at now: Instant = .zero) {
        self.node = node
        self.flash = flash
        self.now = now
    }

    mutating func give(_ input: Input) {
        out.removeAll()
        out.now = now
        out.flash = flash.view
        node.handle(input, at: now, into: &out)
        for action in out.actions {
            switch action {
            case .transmit(let handle, let frame, _):
                if frame.isOverflowed || frame.count > 125 { found("a frame that is too long") }
                sending = handle
                if sent.count == 8 { sent.removeFirst() }
                sent.append(frame)
            case .restart: isRestarting = true
            case .event(let event): events.insert(event.kind)
            case .program, .erase, .configure, .receiver, .pending, .measureEnergy, .wan, .order,
                .power, .link, .endRun, .networkKey, .linkKey:
                break
            }
        }
        flash.obey(&out)
    }

    mutating func powerOn() {
        isRestarting = false
        sending = nil
        give(.powerOn)
    }

    /// The chip has sent what it was given.
    mutating func finishSending(_ status: TransmitStatus = .success, framePending: Bool = false) {
        guard let handle = sending else { return }
        sending = nil
        finishSending(handle, status, framePending: framePending)
    }

    mutating func finishSending(
        _ handle: UInt8, _ status: TransmitStatus = .success, framePending: Bool = false
    ) {
        give(
            .transmitted(TransmitResult(handle: handle, status: status, framePending: framePending))
        )
    }

    /// Lets time go by, with a tick whenever the node wants one; every frame it sends arrives.
    mutating func pass(_ interval: Interval) {
        let end = now + interval
        var ticks = 0
        while !isRestarting {
            if sending != nil { finishSending() }
            let next = node.nextDeadline
            guard next <= end else { break }
            if next > now { ticks = 0 }
            now = max(now, next)
            ticks += 1
            if ticks > 1000 { found("a node that is always due") }
            give(.tick)
        }
        now = end
    }
}
