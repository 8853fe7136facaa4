"""Vision-language models behind OpenAI-compatible endpoints: questions within limits, answers cached and paid once."""

from vgps_models.progress.chat.client import Chat, ChatConfig, ChatError
from vgps_models.progress.chat.ledger import BudgetError
from vgps_models.progress.chat.prompt import Answer, Message, Picture, Prompt
from vgps_models.progress.chat.reply import Reply

__all__ = ["Answer", "BudgetError", "Chat", "ChatConfig", "ChatError", "Message", "Picture", "Prompt", "Reply"]
