import Radio
import Wire

/// The CSP's queue of images for one hub: each goes as its begin, its chunks and its end, one
/// message after another. The WAN port queues and paces what is given to it, so the next message
/// follows when the one before has left.
struct ImageQueue: Sendable {
    struct Image: Sendable {
        var delivery: UInt32
        var targets: [EUI64]
        var bytes: [UInt8]
        /// Versions that it may follow; none for any.
        var installableFrom: [UInt32]
        fileprivate var offset = 0
        fileprivate(set) var isBegun = false

        init(delivery: UInt32, targets: [EUI64], bytes: [UInt8], installableFrom: [UInt32]) {
            self.delivery = delivery
            self.targets = targets
            self.bytes = bytes
            self.installableFrom = installableFrom
        }
    }

    /// Bytes of an image in one WAN message.
    private let chunk: Int
    /// How long the WAN takes over one of them.
    private let chunkTime: Interval
    private(set) var images: [Image] = []
    /// When the next message is to be sent.
    private(set) var due = Instant.distantFuture

    init(chunk: Int, wanPerByte: Interval) {
        self.chunk = chunk
        chunkTime = wanPerByte * (chunk + 16)
    }

    var isEmpty: Bool { images.isEmpty }

    mutating func add(_ image: Image, at now: Instant) {
        images.append(image)
        due = min(due, now)
    }

    /// Goes on with what has waited for the hub.
    mutating func resume(at now: Instant) {
        if !images.isEmpty, due == .distantFuture { due = now }
    }

    mutating func removeAll(where isVoid: (Image) -> Bool) {
        images.removeAll(where: isVoid)
        if images.isEmpty { due = .distantFuture }
    }

    /// The hub has lost what it had of the image under way: that begins anew.
    mutating func rewind() {
        guard !images.isEmpty else { return }
        (images[0].offset, images[0].isBegun) = (0, false)
    }

    /// Sends the next message, if it is time. An image begins only while the hub's software runs,
    /// and waits for `resume` otherwise. The delivery that has now been sent to its end, if any.
    mutating func step(at now: Instant, hubRuns: Bool, into out: inout Outbox) -> UInt32? {
        guard due <= now else { return nil }
        due = .distantFuture
        guard !images.isEmpty, images[0].isBegun || hubRuns else { return nil }
        let (delivery, size) = (images[0].delivery, images[0].bytes.count)
        if !images[0].isBegun {
            images[0].isBegun = true
            out.send(
                .beginImage(
                    delivery: delivery, targets: images[0].targets, size: UInt32(size),
                    installableFrom: images[0].installableFrom))
        }
        let (start, end) = (images[0].offset, min(images[0].offset + chunk, size))
        out.send(
            .imageChunk(
                delivery: delivery, offset: UInt32(start),
                bytes: Array(images[0].bytes[start..<end])
            ))
        images[0].offset = end
        let isDone = end == size
        if isDone {
            out.send(.endImage(delivery: delivery))
            images.removeFirst()
        }
        if !images.isEmpty { due = now + chunkTime }
        return isDone ? delivery : nil
    }
}
