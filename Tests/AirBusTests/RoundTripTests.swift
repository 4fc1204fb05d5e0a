import AirBus
import Radio
import Testing
import Wire

@Test("an answer comes back as the outbox that it was written from")
func answer() throws {
    var out = Outbox()
    out.transmit(FrameBuffer([0x41, 0x88, 1]), handle: 7)
    out.append(.receiver(on: true))
    var builder = MessageBuilder()
    builder.answer(turn: 3, nextDeadline: .distantFuture, from: out)
    var again = Outbox()
    let head = try AirProtocol.decodeAnswer(
        builder.bytes.span, into: &again, node: 2, now: .zero + .seconds(1))
    #expect(head.turn == 3)
    #expect(head.nextDeadline == .distantFuture)
    #expect(again.actions.count == 2)
}
