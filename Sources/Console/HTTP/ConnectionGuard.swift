import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// Cuts off a client that takes too long: for a request's head and body together, between two
/// requests, or to take what is written to it. A connection costs nobody else a thread, so all that
/// is to be bounded is how long it lasts.
final class ConnectionGuard: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    /// What is read on from a client whose request has been answered before its end.
    private static let linger = TimeAmount.seconds(2)

    private let requestTime: TimeAmount
    private var timer: Scheduled<Void>?
    private var writeTimer: Scheduled<Void>?
    /// A head has come whose end has not.
    private var isReceiving = false
    /// A request has begun whose answer has not ended.
    private var isOwing = false
    private var hasAnswerBegun = false

    init(requestTime: Double) {
        self.requestTime = .milliseconds(Int64(requestTime * 1_000))
    }

    func handlerAdded(context: ChannelHandlerContext) {
        if context.channel.isActive { allow(requestTime, context) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        timer?.cancel()
        writeTimer?.cancel()
    }

    func channelActive(context: ChannelHandlerContext) {
        allow(requestTime, context)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        timer?.cancel()
        writeTimer?.cancel()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            isReceiving = true
            isOwing = true
            hasAnswerBegun = false
            if head.headerFields[.expect]?.lowercased() == "100-continue" {
                let go = HTTPResponse(status: .continue)
                context.writeAndFlush(wrapOutboundOut(.head(go)), promise: nil)
            }
        case .body: break
        case .end:
            isReceiving = false
            timer?.cancel()
            timer = nil
            if !isOwing { allow(requestTime, context) }
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head: hasAnswerBegun = true
        case .body: break
        case .end:
            isOwing = false
            allow(isReceiving ? Self.linger : requestTime, context)
        }
        context.write(data, promise: promise)
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        writeTimer?.cancel()
        writeTimer = nil
        if !context.channel.isWritable {
            let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
            writeTimer = context.eventLoop.scheduleTask(in: requestTime) {
                bound.value.close(promise: nil)
            }
        }
        context.fireChannelWritabilityChanged()
    }

    private func allow(_ time: TimeAmount, _ context: ChannelHandlerContext) {
        timer?.cancel()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        timer = context.eventLoop.scheduleTask(in: time) {
            let (this, context) = bound.value
            this.cutOff(context)
        }
    }

    /// Says why where a request has begun and nothing has been answered.
    private func cutOff(_ context: ChannelHandlerContext) {
        guard isReceiving, !hasAnswerBegun else { return context.close(promise: nil) }
        let words = ByteBuffer(
            string: "The request did not arrive in time; send it again at once and whole.\n")
        var fields = HTTPFields()
        fields[.contentType] = "text/plain; charset=utf-8"
        fields[.contentLength] = "\(words.readableBytes)"
        fields[.connection] = "close"
        let head = HTTPResponse(status: .requestTimeout, headerFields: fields)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.write(wrapOutboundOut(.body(words)), promise: nil)
        let bound = NIOLoopBound(context, eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
            bound.value.close(promise: nil)
        }
    }
}
